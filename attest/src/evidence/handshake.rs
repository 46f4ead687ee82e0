//! The handshake messages of TLS 1.2 that a client signs with its card (RFC 5246 §7.4.8), read strictly.
//!
//! Exactly the messages of a full handshake with client authentication, in their order, nothing between, nothing after.

use super::card::EvidenceError;

/// What a signed handshake says.
pub(super) struct Handshake<'a> {
    pub client_random: &'a [u8],
    pub server_random: &'a [u8],
    /// host_name of server_name (RFC 6066 §3).
    pub host: &'a [u8],
    pub cipher_suite: u16,
    pub has_extended_master_secret: bool,
    /// First certificate of the server, DER.
    pub server_certificate: &'a [u8],
    /// ServerECDHParams (RFC 8422 §5.4), which the server signed together with both randoms.
    pub key_exchange: &'a [u8],
    pub key_exchange_scheme: u16,
    pub key_exchange_signature: &'a [u8],
    /// First certificate of the client, DER.
    pub client_certificate: &'a [u8],
}

impl<'a> Handshake<'a> {
    /// Reads the messages from ClientHello to ClientKeyExchange.
    pub(super) fn parse(transcript: &'a [u8]) -> Result<Self, EvidenceError> {
        let mut messages = Reader(transcript);
        let client = ClientHello::parse(messages.message(1, "ClientHello")?)?;
        let server = ServerHello::parse(messages.message(2, "ServerHello")?)?;
        let server_certificate = first_certificate(messages.message(11, "Certificate")?)?;
        // CertificateStatus (RFC 6066 §8) comes only where the client asked for it.
        if messages.0.first() == Some(&22) {
            messages.message(22, "CertificateStatus")?;
        }
        let exchange = KeyExchange::parse(messages.message(12, "ServerKeyExchange")?)?;
        messages.message(13, "CertificateRequest")?;
        if !messages.message(14, "ServerHelloDone")?.is_empty() {
            return Err(EvidenceError::Transcript("ServerHelloDone"));
        }
        let client_certificate = first_certificate(messages.message(11, "client Certificate")?)?;
        messages.message(16, "ClientKeyExchange")?;
        messages.end("trailing messages")?;
        Ok(Self {
            client_random: client.random,
            server_random: server.random,
            host: client.host,
            cipher_suite: server.cipher_suite,
            has_extended_master_secret: server.has_extended_master_secret,
            server_certificate,
            key_exchange: exchange.params,
            key_exchange_scheme: exchange.scheme,
            key_exchange_signature: exchange.signature,
            client_certificate,
        })
    }
}

struct ClientHello<'a> {
    random: &'a [u8],
    host: &'a [u8],
}

impl<'a> ClientHello<'a> {
    /// RFC 5246 §7.4.1.2.
    fn parse(body: &'a [u8]) -> Result<Self, EvidenceError> {
        const WHAT: &str = "ClientHello";
        let mut body = Reader(body);
        if body.u16(WHAT)? != TLS_1_2 {
            return Err(EvidenceError::Version);
        }
        let random = body.take(32, WHAT)?;
        body.vector8(WHAT)?;
        body.vector16(WHAT)?;
        body.vector8(WHAT)?;
        let mut host = None;
        for extension in extensions(&mut body, WHAT)? {
            if extension.kind == SERVER_NAME {
                host = Some(host_name(extension.data)?);
            }
        }
        let host = host.ok_or(EvidenceError::Host)?;
        Ok(Self { random, host })
    }
}

struct ServerHello<'a> {
    random: &'a [u8],
    cipher_suite: u16,
    has_extended_master_secret: bool,
}

impl<'a> ServerHello<'a> {
    /// RFC 5246 §7.4.1.3. TLS 1.3 shows the same version here and the true one in supported_versions.
    fn parse(body: &'a [u8]) -> Result<Self, EvidenceError> {
        const WHAT: &str = "ServerHello";
        let mut body = Reader(body);
        if body.u16(WHAT)? != TLS_1_2 {
            return Err(EvidenceError::Version);
        }
        let random = body.take(32, WHAT)?;
        body.vector8(WHAT)?;
        let cipher_suite = body.u16(WHAT)?;
        if body.u8(WHAT)? != 0 {
            return Err(EvidenceError::Transcript("compression"));
        }
        let extensions = extensions(&mut body, WHAT)?;
        if extensions.iter().any(|extension| extension.kind == SUPPORTED_VERSIONS) {
            return Err(EvidenceError::Version);
        }
        let has_extended_master_secret =
            extensions.iter().any(|one| one.kind == EXTENDED_MASTER_SECRET && one.data.is_empty());
        Ok(Self { random, cipher_suite, has_extended_master_secret })
    }
}

struct KeyExchange<'a> {
    params: &'a [u8],
    scheme: u16,
    signature: &'a [u8],
}

impl<'a> KeyExchange<'a> {
    /// RFC 8422 §5.4: named curve, point, then the signature over both randoms and these parameters.
    fn parse(body: &'a [u8]) -> Result<Self, EvidenceError> {
        const WHAT: &str = "ServerKeyExchange";
        const NAMED_CURVE: u8 = 3;
        let mut rest = Reader(body);
        if rest.u8(WHAT)? != NAMED_CURVE {
            return Err(EvidenceError::Transcript("key exchange without a named curve"));
        }
        rest.u16(WHAT)?;
        rest.vector8(WHAT)?;
        let used = body.len().saturating_sub(rest.0.len());
        let params = body.get(..used).ok_or(EvidenceError::Transcript(WHAT))?;
        let scheme = rest.u16(WHAT)?;
        let signature = rest.vector16(WHAT)?;
        rest.end(WHAT)?;
        Ok(Self { params, scheme, signature })
    }
}

/// RFC 5246 §7.4.2: the sender's own certificate comes first; what follows is not looked at.
fn first_certificate(body: &[u8]) -> Result<&[u8], EvidenceError> {
    const WHAT: &str = "Certificate";
    let mut body = Reader(body);
    let mut list = Reader(body.vector24(WHAT)?);
    body.end(WHAT)?;
    let first = list.vector24(WHAT)?;
    while !list.0.is_empty() {
        list.vector24(WHAT)?;
    }
    Ok(first)
}

struct Extension<'a> {
    kind: u16,
    data: &'a [u8],
}

/// Extensions up to the end of the message; none twice (RFC 5246 §7.4.1.4).
fn extensions<'a>(
    body: &mut Reader<'a>,
    what: &'static str,
) -> Result<Vec<Extension<'a>>, EvidenceError> {
    let mut found: Vec<Extension<'a>> = Vec::new();
    if body.0.is_empty() {
        return Ok(found);
    }
    let mut list = Reader(body.vector16(what)?);
    body.end(what)?;
    while !list.0.is_empty() {
        let extension = Extension { kind: list.u16(what)?, data: list.vector16(what)? };
        if found.len() >= MAX_EXTENSIONS || found.iter().any(|one| one.kind == extension.kind) {
            return Err(EvidenceError::Transcript(what));
        }
        found.push(extension);
    }
    Ok(found)
}

/// The one host_name of a ServerNameList (RFC 6066 §3).
fn host_name(data: &[u8]) -> Result<&[u8], EvidenceError> {
    const WHAT: &str = "server_name";
    const HOST_NAME: u8 = 0;
    let mut data = Reader(data);
    let mut list = Reader(data.vector16(WHAT)?);
    data.end(WHAT)?;
    if list.u8(WHAT)? != HOST_NAME {
        return Err(EvidenceError::Transcript(WHAT));
    }
    let host = list.vector16(WHAT)?;
    list.end(WHAT)?;
    Ok(host)
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], EvidenceError> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or(EvidenceError::Transcript(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, octets: usize, what: &'static str) -> Result<usize, EvidenceError> {
        let octets = self.take(octets, what)?;
        Ok(octets.iter().fold(0, |number, octet| number << 8 | usize::from(*octet)))
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, EvidenceError> {
        u8::try_from(self.number(1, what)?).map_err(|_| EvidenceError::Transcript(what))
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, EvidenceError> {
        u16::try_from(self.number(2, what)?).map_err(|_| EvidenceError::Transcript(what))
    }

    fn vector8(&mut self, what: &'static str) -> Result<&'a [u8], EvidenceError> {
        let length = self.number(1, what)?;
        self.take(length, what)
    }

    fn vector16(&mut self, what: &'static str) -> Result<&'a [u8], EvidenceError> {
        let length = self.number(2, what)?;
        self.take(length, what)
    }

    fn vector24(&mut self, what: &'static str) -> Result<&'a [u8], EvidenceError> {
        let length = self.number(3, what)?;
        self.take(length, what)
    }

    /// The body of the next handshake message, which must be of `kind`.
    fn message(&mut self, kind: u8, what: &'static str) -> Result<&'a [u8], EvidenceError> {
        if self.u8(what)? != kind {
            return Err(EvidenceError::Transcript(what));
        }
        self.vector24(what)
    }

    fn end(&self, what: &'static str) -> Result<(), EvidenceError> {
        if self.0.is_empty() { Ok(()) } else { Err(EvidenceError::Transcript(what)) }
    }
}

const TLS_1_2: u16 = 0x0303;
const SERVER_NAME: u16 = 0;
const EXTENDED_MASTER_SECRET: u16 = 23;
const SUPPORTED_VERSIONS: u16 = 43;
/// Browsers send about 20.
const MAX_EXTENSIONS: usize = 64;
