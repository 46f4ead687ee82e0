//! A DER tree to take apart, change and put together again, also into what is no DER any more.

/// An element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Primitive(u8, Vec<u8>),
    Constructed(u8, Vec<Node>),
    /// Octets that go in as they are.
    Raw(Vec<u8>),
}

impl Node {
    /// Takes apart one element of correct DER.
    pub fn parse(der: &[u8]) -> Self {
        match &Self::parse_all(der)[..] {
            [node] => node.clone(),
            other => panic!("{} elements", other.len()),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let (tag, value) = match self {
            Self::Raw(octets) => return octets.clone(),
            Self::Primitive(tag, value) => (*tag, value.clone()),
            Self::Constructed(tag, children) => (*tag, encode_all(children)),
        };
        [vec![tag], length(value.len()), value].concat()
    }

    /// The element at this path of places.
    pub fn at(&mut self, path: &[usize]) -> &mut Self {
        path.iter().fold(self, |node, place| &mut node.children()[*place])
    }

    pub fn children(&mut self) -> &mut Vec<Self> {
        match self {
            Self::Constructed(_, children) => children,
            other => panic!("{other:?} has no children"),
        }
    }

    pub fn value(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Primitive(_, value) => value,
            other => panic!("{other:?} is not primitive"),
        }
    }

    pub fn set_tag(&mut self, new: u8) {
        match self {
            Self::Primitive(tag, _) | Self::Constructed(tag, _) => *tag = new,
            Self::Raw(_) => panic!("raw octets have no tag"),
        }
    }

    fn parse_all(mut der: &[u8]) -> Vec<Self> {
        let mut nodes = Vec::new();
        while !der.is_empty() {
            let (header_len, len) = match der[1] {
                short @ 0..=0x7f => (2, usize::from(short)),
                long => {
                    let count = usize::from(long & 0x7f);
                    let len = der[2..2 + count].iter().fold(0, |sum, o| sum << 8 | usize::from(*o));
                    (2 + count, len)
                }
            };
            let value = &der[header_len..header_len + len];
            nodes.push(match der[0] & 0x20 {
                0 => Self::Primitive(der[0], value.to_vec()),
                _ => Self::Constructed(der[0], Self::parse_all(value)),
            });
            der = &der[header_len + len..];
        }
        nodes
    }
}

/// `SEQUENCE` of these.
pub fn sequence(children: Vec<Node>) -> Node {
    Node::Constructed(0x30, children)
}

/// `SET` of these.
pub fn set(children: Vec<Node>) -> Node {
    Node::Constructed(0x31, children)
}

/// `OBJECT IDENTIFIER`, contents in hexadecimal.
pub fn oid(hex: &str) -> Node {
    Node::Primitive(0x06, hex::decode(hex).unwrap())
}

pub fn null() -> Node {
    Node::Primitive(0x05, Vec::new())
}

fn encode_all(nodes: &[Node]) -> Vec<u8> {
    nodes.iter().flat_map(Node::encode).collect()
}

fn length(len: usize) -> Vec<u8> {
    let octets: Vec<u8> = len.to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
    match len {
        0 => vec![0],
        1..=0x7f => octets,
        _ => [vec![0x80 | octets.len() as u8], octets].concat(),
    }
}
