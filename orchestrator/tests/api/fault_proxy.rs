//! Fault-injection proxy between the orchestrator and an upstream service, which forwards requests or applies faults to
//! them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Number of times that exceeds the number of requests in any test.
pub(crate) const ALWAYS: usize = usize::MAX;

/// Fault applied to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The connection closes before the service receives the request.
    RequestDropped,
    /// The connection closes after the service has executed the request.
    ResponseDropped,
    /// The service does not receive the request, and the connection stays open without a response.
    RequestStalled,
    /// The service executes the request, and the connection stays open without a response.
    ResponseStalled,
    /// The response lacks its last 20 bytes.
    ResponseTruncated,
    /// A gateway responds with HTML instead of forwarding the request.
    GatewayResponse(u16),
    /// A gateway responds with HTML after the service has executed the request.
    GatewayResponseAfterExecution(u16),
    /// The service responds with a documented error.
    Error(u16, &'static str),
    /// The port closes: this request receives no response, and later connections are refused.
    PortClosed,
    /// The port closes and reopens after this time.
    PortClosedFor(Duration),
    /// The service receives the request twice in succession; the first response is returned.
    Duplicated,
    /// The request is forwarded, and a copy is kept for [`FaultProxy::deliver_held`].
    CopyHeld,
}

/// Proxy in front of one service.
pub(crate) struct FaultProxy {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    /// Socket that reserves the port while the port is closed. It never listens.
    _port: TcpSocket,
    /// Accept loop; `None` while the port is closed.
    accept_loop: Mutex<Option<JoinHandle<()>>>,
    service: Mutex<SocketAddr>,
    rules: Mutex<Vec<Rule>>,
    /// Every request, in the form `POST /orders/{id}/confirm`, in order of arrival.
    requests: watch::Sender<Vec<String>>,
    held: Mutex<Option<Vec<u8>>>,
}

/// Rule that applies a fault to the next `times` requests of a kind.
struct Rule {
    request: &'static str,
    times: usize,
    fault: Fault,
}

impl FaultProxy {
    pub(crate) fn start(service: SocketAddr) -> Self {
        let port = bind("127.0.0.1:0".parse().unwrap());
        let shared = Arc::new(Shared {
            address: port.local_addr().unwrap(),
            _port: port,
            accept_loop: Mutex::default(),
            service: Mutex::new(service),
            rules: Mutex::default(),
            requests: watch::Sender::new(Vec::new()),
            held: Mutex::default(),
        });
        shared.open();
        Self { shared }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// Applies the fault to the next `times` requests of the kind.
    pub(crate) fn inject(&self, request: &'static str, times: usize, fault: Fault) {
        self.shared.rules.lock().unwrap().push(Rule { request, times, fault });
    }

    /// Returns all requests received so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.borrow().clone()
    }

    /// Waits for a request of the kind.
    pub(crate) async fn wait_for_request(&self, request: &str) {
        self.wait_for_requests(request, 1).await;
    }

    /// Waits until this number of requests of the kind has arrived, counted from the start of the proxy.
    pub(crate) async fn wait_for_requests(&self, request: &str, times: usize) {
        let mut requests = self.shared.requests.subscribe();
        let count = |requests: &Vec<String>| requests.iter().filter(|other| *other == request).count();
        requests.wait_for(|requests| count(requests) >= times).await.unwrap();
    }

    /// Closes the port: later connections are refused.
    pub(crate) async fn close(&self) {
        self.shared.close().await;
    }

    /// Closes the port and reopens it after this time.
    pub(crate) async fn close_for(&self, outage: Duration) {
        self.shared.close_for(outage).await;
    }

    /// Removes all faults and opens the port.
    pub(crate) fn restore(&self) {
        self.shared.rules.lock().unwrap().clear();
        self.shared.open();
    }

    /// Forwards later requests to another address.
    pub(crate) fn forward_to(&self, service: SocketAddr) {
        *self.shared.service.lock().unwrap() = service;
    }

    /// Forwards the copy of the request that was kept most recently. Returns the status of the response.
    pub(crate) async fn deliver_held(&self) -> u16 {
        let request = self.shared.held.lock().unwrap().clone().expect("no request is held");
        let response = String::from_utf8(self.shared.forward(&request).await.unwrap()).unwrap();
        response.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

/// Binds a socket with `SO_REUSEPORT`, so that the port remains reserved while its listener is closed and reopened.
fn bind(address: SocketAddr) -> TcpSocket {
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
    /// Serves one request per connection, so that each request opens a new connection and immediately detects a closed
    /// port.
    async fn serve(self: Arc<Self>, mut client: TcpStream) {
        let Some(request) = read_request(&mut client).await else { return };
        let kind = kind(&request);
        self.requests.send_modify(|requests| requests.push(kind.clone()));
        let response = match self.next_fault(&kind) {
            None => self.forward(&request).await,
            Some(fault) => self.apply(fault, request, &mut client).await,
        };
        if let Some(response) = response {
            let _ = client.write_all(&response).await;
        }
    }

    /// Applies a fault and returns the response, or `None` if the connection must be closed.
    async fn apply(self: &Arc<Self>, fault: Fault, request: Vec<u8>, client: &mut TcpStream) -> Option<Vec<u8>> {
        match fault {
            Fault::RequestDropped => None,
            Fault::ResponseDropped => self.forward(&request).await.and(None),
            Fault::RequestStalled => {
                *self.held.lock().unwrap() = Some(request);
                wait_for_close(client).await;
                None
            }
            Fault::ResponseStalled => {
                self.forward(&request).await?;
                wait_for_close(client).await;
                None
            }
            Fault::ResponseTruncated => {
                self.forward(&request).await.map(|response| response[..response.len().saturating_sub(20)].to_vec())
            }
            Fault::GatewayResponse(status) => Some(response(status, "text/html", "<h1>Sorry</h1>")),
            Fault::GatewayResponseAfterExecution(status) => {
                self.forward(&request).await?;
                Some(response(status, "text/html", "<h1>Sorry</h1>"))
            }
            Fault::Error(status, code) => {
                let json = format!(r#"{{"request_id":"r","error_code":"{code}","message":"hidden: {code}"}}"#);
                Some(response(status, "application/json", &json))
            }
            Fault::PortClosed => {
                self.close().await;
                None
            }
            Fault::PortClosedFor(outage) => {
                self.close_for(outage).await;
                None
            }
            Fault::Duplicated => {
                let response = self.forward(&request).await;
                self.forward(&request).await?;
                response
            }
            Fault::CopyHeld => {
                let response = self.forward(&request).await;
                *self.held.lock().unwrap() = Some(request);
                response
            }
        }
    }

    fn open(self: &Arc<Self>) {
        let mut accept_loop = self.accept_loop.lock().unwrap();
        if accept_loop.is_none() {
            let listener = bind(self.address).listen(1024).unwrap();
            *accept_loop = Some(tokio::spawn(accept(listener, Arc::clone(self))));
        }
    }

    async fn close(&self) {
        let accept_loop = self.accept_loop.lock().unwrap().take();
        if let Some(accept_loop) = accept_loop {
            accept_loop.abort();
            let _ = accept_loop.await;
        }
    }

    async fn close_for(self: &Arc<Self>, outage: Duration) {
        self.close().await;
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            sleep(outage).await;
            shared.open();
        });
    }

    fn next_fault(&self, kind: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap();
        let rule = rules.iter_mut().find(|rule| rule.request == kind && rule.times > 0)?;
        rule.times -= 1;
        Some(rule.fault)
    }

    /// Forwards a request to the service. Returns the response, or `None` if the service is down.
    async fn forward(&self, request: &[u8]) -> Option<Vec<u8>> {
        let service = *self.service.lock().unwrap();
        let mut service = TcpStream::connect(service).await.ok()?;
        let line_end = request.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
        service.write_all(&request[..line_end]).await.ok()?;
        service.write_all(b"connection: close\r\n").await.ok()?;
        service.write_all(&request[line_end..]).await.ok()?;
        let mut response = Vec::new();
        service.read_to_end(&mut response).await.ok()?;
        Some(response)
    }
}

/// Waits until the client closes the connection.
async fn wait_for_close(client: &mut TcpStream) {
    let _ = client.read(&mut [0]).await;
}

/// Reads one complete request. Returns `None` if the client closes the connection first.
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

/// Returns the method and the path of a request, without the query and with every number replaced by `{id}`.
fn kind(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let mut words = text.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let path = target.split('?').next().unwrap();
    let segments = path.split('/').map(|segment| if segment.parse::<u64>().is_ok() { "{id}" } else { segment });
    format!("{method} {}", segments.collect::<Vec<_>>().join("/"))
}

/// Formats a complete HTTP response.
pub(crate) fn response(status: u16, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} -\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}
