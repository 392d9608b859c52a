//! The line between the orchestrator and one service: carries each request on, unless told what to do to it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

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
    /// The service answers with an error of its own.
    Error(u16, &'static str),
    /// The port closes: this request gets no answer and later ones are refused.
    PortCloses,
}

/// One end of the line; the other end is the service.
pub(crate) struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    service: SocketAddr,
    orders: Mutex<Vec<Order>>,
    /// Every request, as `POST /orders/{id}/confirm`, in the order of arrival.
    seen: watch::Sender<Vec<String>>,
    stuck: Mutex<Option<Vec<u8>>>,
    close: Notify,
    closed: Notify,
}

struct Order {
    request: &'static str,
    times: usize,
    mishap: Mishap,
}

impl Line {
    pub(crate) async fn to(service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            service,
            orders: Mutex::default(),
            seen: watch::Sender::new(Vec::new()),
            stuck: Mutex::default(),
            close: Notify::new(),
            closed: Notify::new(),
        });
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
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
        let mut seen = self.shared.seen.subscribe();
        seen.wait_for(|seen| seen.iter().any(|other| other == request)).await.unwrap();
    }

    /// Closes the port: connections are refused from now on.
    pub(crate) async fn close(&self) {
        self.shared.close().await;
    }

    /// Delivers the last request that got stuck after all, and gives the status of the answer.
    pub(crate) async fn deliver_late(&self) -> u16 {
        let request = self.shared.stuck.lock().unwrap().clone().expect("no request got stuck");
        let answer = String::from_utf8(self.shared.carry(&request).await).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { shared.serve(stream).await });
            }
            () = shared.close.notified() => break,
        }
    }
    drop(listener);
    shared.closed.notify_one();
}

impl Shared {
    /// One request to a connection: so each one has to connect, and a closed port is noticed at once.
    async fn serve(&self, mut client: TcpStream) {
        let Some(request) = read_request(&mut client).await else { return };
        let kind = kind(&request);
        self.seen.send_modify(|seen| seen.push(kind.clone()));
        match self.mishap(&kind) {
            None => {
                let answer = self.carry(&request).await;
                let _ = client.write_all(&answer).await;
            }
            Some(Mishap::RequestLost) => {}
            Some(Mishap::AnswerLost) => drop(self.carry(&request).await),
            Some(Mishap::RequestStuck) => {
                *self.stuck.lock().unwrap() = Some(request);
                wait_for_end(&mut client).await;
            }
            Some(Mishap::AnswerStuck) => {
                self.carry(&request).await;
                wait_for_end(&mut client).await;
            }
            Some(Mishap::AnswerCut) => {
                let answer = self.carry(&request).await;
                let _ = client.write_all(&answer[..answer.len() - 20]).await;
            }
            Some(Mishap::Gateway(status)) => {
                let _ = client.write_all(&response(status, "text/html", "<h1>Sorry</h1>")).await;
            }
            Some(Mishap::Error(status, code)) => {
                let json = format!(r#"{{"request_id":"r","error_code":"{code}","message":"hidden: {code}"}}"#);
                let _ = client.write_all(&response(status, "application/json", &json)).await;
            }
            Some(Mishap::PortCloses) => self.close().await,
        }
    }

    async fn close(&self) {
        self.close.notify_one();
        self.closed.notified().await;
    }

    fn mishap(&self, kind: &str) -> Option<Mishap> {
        let mut orders = self.orders.lock().unwrap();
        let order = orders.iter_mut().find(|order| order.request == kind && order.times > 0)?;
        order.times -= 1;
        Some(order.mishap)
    }

    /// Lets the service do its work.
    async fn carry(&self, request: &[u8]) -> Vec<u8> {
        let mut service = TcpStream::connect(self.service).await.unwrap();
        let line_end = request.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
        service.write_all(&request[..line_end]).await.unwrap();
        service.write_all(b"connection: close\r\n").await.unwrap();
        service.write_all(&request[line_end..]).await.unwrap();
        let mut answer = Vec::new();
        service.read_to_end(&mut answer).await.unwrap();
        answer
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
