//! The line between the orchestrator and one service: carries each request on, unless told what to do to it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// For as long as the test runs.
pub(crate) const ALWAYS: usize = usize::MAX;

/// What happens to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mishap {
    /// The connection ends before the service gets the request.
    RequestLost,
    /// The connection ends after the service did its work.
    AnswerLost,
    /// The service never gets the request, and nobody says so.
    RequestStuck,
    /// The service did its work, and nothing comes back.
    AnswerStuck,
    /// Only half of the answer comes back.
    AnswerCut,
    /// A gateway in between answers in a language of its own.
    Gateway(u16),
    /// The same, after the service did its work.
    GatewayAfterwards(u16),
    /// The service answers with an error of its own.
    Error(u16, &'static str),
    /// The port closes: this request gets no answer and later ones are refused.
    PortCloses,
    /// The port closes for so long, and opens again by itself.
    PortClosesFor(Duration),
    /// The service gets the request two times, one right after the other. The first answer comes back.
    SentTwice,
    /// The request is answered, and a copy of it is kept on the way: see [`Line::deliver_late`].
    CopyStuck,
}

/// One end of the line; the other end is the service.
pub(crate) struct Line {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    /// Keeps the port while it is closed. It never listens.
    _port: TcpSocket,
    /// What answers on the port; none while it is closed.
    open: Mutex<Option<JoinHandle<()>>>,
    service: Mutex<SocketAddr>,
    orders: Mutex<Vec<Order>>,
    /// Every request, as `POST /orders/{id}/confirm`, in the order of arrival.
    seen: watch::Sender<Vec<String>>,
    stuck: Mutex<Option<Vec<u8>>>,
}

struct Order {
    request: &'static str,
    times: usize,
    mishap: Mishap,
}

impl Line {
    pub(crate) fn to(service: SocketAddr) -> Self {
        let port = bound("127.0.0.1:0".parse().unwrap());
        let shared = Arc::new(Shared {
            address: port.local_addr().unwrap(),
            _port: port,
            open: Mutex::default(),
            service: Mutex::new(service),
            orders: Mutex::default(),
            seen: watch::Sender::new(Vec::new()),
            stuck: Mutex::default(),
        });
        shared.open();
        Self { shared }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// Lets this happen to the next `times` requests of the kind.
    pub(crate) fn on(&self, request: &'static str, times: usize, mishap: Mishap) {
        self.shared.orders.lock().unwrap().push(Order { request, times, mishap });
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.shared.seen.borrow().clone()
    }

    /// Waits for a request of the kind.
    pub(crate) async fn until_seen(&self, request: &str) {
        self.until_seen_times(request, 1).await;
    }

    /// Waits for so many requests of the kind, counted from the start.
    pub(crate) async fn until_seen_times(&self, request: &str, times: usize) {
        let mut seen = self.shared.seen.subscribe();
        let count = |seen: &Vec<String>| seen.iter().filter(|other| *other == request).count();
        seen.wait_for(|seen| count(seen) >= times).await.unwrap();
    }

    /// Closes the port: connections are refused from now on.
    pub(crate) async fn close(&self) {
        self.shared.close().await;
    }

    /// Closes the port for so long.
    pub(crate) async fn close_for(&self, outage: Duration) {
        self.shared.close_for(outage).await;
    }

    /// From now on every request is carried.
    pub(crate) fn mend(&self) {
        self.shared.orders.lock().unwrap().clear();
        self.shared.open();
    }

    /// Leads to another service from now on.
    pub(crate) fn lead_to(&self, service: SocketAddr) {
        *self.shared.service.lock().unwrap() = service;
    }

    /// Delivers the last request that got stuck after all, and gives the status of the answer.
    pub(crate) async fn deliver_late(&self) -> u16 {
        let request = self.shared.stuck.lock().unwrap().clone().expect("no request got stuck");
        let answer = String::from_utf8(self.shared.carry(&request).await.unwrap()).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

/// A socket on a port that others of these share and nobody else gets.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = Arc::clone(&shared);
        tokio::spawn(async move { shared.serve(stream).await });
    }
}

impl Shared {
    /// One request to a connection: so each one has to connect, and a closed port is noticed at once.
    async fn serve(self: Arc<Self>, mut client: TcpStream) {
        let Some(request) = read_request(&mut client).await else { return };
        let kind = kind(&request);
        self.seen.send_modify(|seen| seen.push(kind.clone()));
        let answer = match self.mishap(&kind) {
            None => self.carry(&request).await,
            Some(mishap) => self.suffer(mishap, request, &mut client).await,
        };
        if let Some(answer) = answer {
            let _ = client.write_all(&answer).await;
        }
    }

    /// What comes back; with none the connection ends.
    async fn suffer(self: &Arc<Self>, mishap: Mishap, request: Vec<u8>, client: &mut TcpStream) -> Option<Vec<u8>> {
        match mishap {
            Mishap::RequestLost => None,
            Mishap::AnswerLost => self.carry(&request).await.and(None),
            Mishap::RequestStuck => {
                *self.stuck.lock().unwrap() = Some(request);
                wait_for_end(client).await;
                None
            }
            Mishap::AnswerStuck => {
                self.carry(&request).await?;
                wait_for_end(client).await;
                None
            }
            Mishap::AnswerCut => {
                self.carry(&request).await.map(|answer| answer[..answer.len().saturating_sub(20)].to_vec())
            }
            Mishap::Gateway(status) => Some(response(status, "text/html", "<h1>Sorry</h1>")),
            Mishap::GatewayAfterwards(status) => {
                self.carry(&request).await?;
                Some(response(status, "text/html", "<h1>Sorry</h1>"))
            }
            Mishap::Error(status, code) => {
                let json = format!(r#"{{"request_id":"r","error_code":"{code}","message":"hidden: {code}"}}"#);
                Some(response(status, "application/json", &json))
            }
            Mishap::PortCloses => {
                self.close().await;
                None
            }
            Mishap::PortClosesFor(outage) => {
                self.close_for(outage).await;
                None
            }
            Mishap::SentTwice => {
                let answer = self.carry(&request).await;
                self.carry(&request).await?;
                answer
            }
            Mishap::CopyStuck => {
                let answer = self.carry(&request).await;
                *self.stuck.lock().unwrap() = Some(request);
                answer
            }
        }
    }

    fn open(self: &Arc<Self>) {
        let mut open = self.open.lock().unwrap();
        if open.is_none() {
            let listener = bound(self.address).listen(1024).unwrap();
            *open = Some(tokio::spawn(accept(listener, Arc::clone(self))));
        }
    }

    async fn close(&self) {
        let open = self.open.lock().unwrap().take();
        if let Some(open) = open {
            open.abort();
            let _ = open.await;
        }
    }

    async fn close_for(self: &Arc<Self>, outage: Duration) {
        self.close().await;
        let line = Arc::clone(self);
        tokio::spawn(async move {
            sleep(outage).await;
            line.open();
        });
    }

    fn mishap(&self, kind: &str) -> Option<Mishap> {
        let mut orders = self.orders.lock().unwrap();
        let order = orders.iter_mut().find(|order| order.request == kind && order.times > 0)?;
        order.times -= 1;
        Some(order.mishap)
    }

    /// Lets the service do its work; none where it is gone.
    async fn carry(&self, request: &[u8]) -> Option<Vec<u8>> {
        let service = *self.service.lock().unwrap();
        let mut service = TcpStream::connect(service).await.ok()?;
        let line_end = request.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
        service.write_all(&request[..line_end]).await.ok()?;
        service.write_all(b"connection: close\r\n").await.ok()?;
        service.write_all(&request[line_end..]).await.ok()?;
        let mut answer = Vec::new();
        service.read_to_end(&mut answer).await.ok()?;
        Some(answer)
    }
}

/// The other side gives up, or the test ends.
async fn wait_for_end(client: &mut TcpStream) {
    let _ = client.read(&mut [0]).await;
}

/// One whole request; none where the other side has nothing more to say.
pub(crate) async fn read_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if client.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
        let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let headers = String::from_utf8_lossy(&request[..head]).to_lowercase();
        let length = headers.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        if request.len() >= head + 4 + length {
            return Some(request);
        }
    }
}

/// The method and the path without its query, with `{id}` for every number.
fn kind(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let mut words = text.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let path = target.split('?').next().unwrap();
    let segments = path.split('/').map(|segment| if segment.parse::<u64>().is_ok() { "{id}" } else { segment });
    format!("{method} {}", segments.collect::<Vec<_>>().join("/"))
}

/// One whole answer.
pub(crate) fn response(status: u16, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} -\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}
