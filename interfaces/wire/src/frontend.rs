//! What clients send: framing and checked decoding of messages (PostgreSQL manual, chapter 55.7).
//!
//! Messages borrow from the receive buffer, nothing is copied. pgwire's own decoder is not used on this
//! side: it panics on a body shorter than it says and replaces bytes that are not UTF-8, where PostgreSQL
//! answers 08P01 and 22021.

use tuplix_types::binary_io::utf8;
use tuplix_types::{Result, Severity, SqlError, TypeId, sqlstate};

use crate::limits::{MESSAGE_BYTES_MAX, SMALL_MESSAGE_BYTES_MAX};

/// One whole message in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// The message's type byte.
    pub kind: u8,
    /// What follows the length.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// Bytes that the message takes in the buffer.
    pub(crate) fn length(&self) -> usize {
        self.body.len() + 5
    }
}

/// The first whole message in `buffer`; `None` when more has to be read first.
///
/// # Errors
/// A fatal 08P01 when no message can start like this: an unknown type or an impossible length.
pub(crate) fn first_frame(buffer: &[u8]) -> Result<Option<Frame<'_>>> {
    let Some(&kind) = buffer.first() else {
        return Ok(None);
    };
    let limit = match kind {
        b'Q' | b'P' | b'B' | b'F' | b'd' => MESSAGE_BYTES_MAX,
        b'D' | b'E' | b'C' | b'S' | b'H' | b'X' | b'p' | b'c' | b'f' => SMALL_MESSAGE_BYTES_MAX,
        unknown => return Err(fatal(format!("invalid frontend message type {unknown}"))),
    };
    let Some(length) = buffer.get(1..5) else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
    if length < 4 || length > limit {
        return Err(fatal("invalid message length")
            .detail(format!("The message has {length} bytes, the limit is {limit}.")));
    }
    Ok(buffer.get(5..length + 1).map(|body| Frame { kind, body }))
}

/// A protocol error that ends the connection.
fn fatal(message: impl Into<String>) -> SqlError {
    SqlError::new(sqlstate::PROTOCOL_VIOLATION, message).severity(Severity::Fatal)
}

/// What `Describe` and `Close` are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// A prepared statement.
    Statement(&'a str),
    /// A portal.
    Portal(&'a str),
}

/// A decoded message.
#[derive(Debug, PartialEq)]
pub(crate) enum Message<'a> {
    /// A text of statements, simple protocol.
    Query(&'a str),
    /// Prepare a statement.
    Parse {
        /// Its name, empty for the unnamed one.
        name: &'a str,
        /// Its text.
        query: &'a str,
        /// Parameter types as far as the client gives them; 0 leaves one open.
        parameter_types: Vec<TypeId>,
    },
    /// Make a portal of a statement and arguments.
    Bind(Bind<'a>),
    /// Ask for parameter and column types.
    Describe(Target<'a>),
    /// Run a portal.
    Execute {
        /// The portal's name.
        portal: &'a str,
        /// Most rows to return now; 0 or less for all.
        rows_max: i32,
    },
    /// Forget a statement or portal.
    Close(Target<'a>),
    /// End of a pipeline.
    Sync,
    /// Send what is ready.
    Flush,
    /// The client leaves.
    Terminate,
    /// Data of COPY.
    CopyData(&'a [u8]),
    /// The data are complete.
    CopyDone,
    /// The client has given up, for this reason.
    CopyFail(&'a str),
    /// The old function call interface, refused.
    FunctionCall,
    /// A password nobody asked for.
    Password,
}

/// The body of `Bind`.
#[derive(Debug, PartialEq)]
pub(crate) struct Bind<'a> {
    /// The portal to make.
    pub portal: &'a str,
    /// The statement to make it of.
    pub statement: &'a str,
    /// Formats of the arguments: none, one for all, or one each.
    pub argument_formats: Vec<i16>,
    /// The arguments, `None` for NULL.
    pub arguments: Vec<Option<&'a [u8]>>,
    /// Formats of the result columns: none, one for all, or one each.
    pub result_formats: Vec<i16>,
}

impl<'a> Message<'a> {
    /// Decodes a frame.
    ///
    /// # Errors
    /// 08P01 for a body that is too short, too long or otherwise not of its kind, 22021 for text that is
    /// not UTF-8. The connection can go on: the frame's end is known.
    pub(crate) fn decode(frame: Frame<'a>) -> Result<Message<'a>> {
        let mut body = Body { rest: frame.body };
        let message = match frame.kind {
            b'Q' => Message::Query(body.text()?),
            b'P' => {
                let (name, query) = (body.text()?, body.text()?);
                let count = body.count()?;
                let mut parameter_types = Vec::with_capacity(count.min(body.rest.len() / 4));
                for _ in 0..count {
                    parameter_types.push(TypeId(body.u32()?));
                }
                Message::Parse { name, query, parameter_types }
            }
            b'B' => Message::Bind(body.bind()?),
            b'D' => Message::Describe(body.target("DESCRIBE")?),
            b'C' => Message::Close(body.target("CLOSE")?),
            b'E' => Message::Execute { portal: body.text()?, rows_max: body.u32()? as i32 },
            b'S' => Message::Sync,
            b'H' => Message::Flush,
            b'X' => Message::Terminate,
            b'F' => return Ok(Message::FunctionCall),
            b'p' => return Ok(Message::Password),
            b'd' => return Ok(Message::CopyData(body.rest)),
            b'f' => Message::CopyFail(body.text()?),
            _ => Message::CopyDone,
        };
        if !body.rest.is_empty() {
            return Err(violation("invalid message format"));
        }
        Ok(message)
    }
}

/// A protocol error that skips to the next `Sync`.
fn violation(message: &str) -> SqlError {
    SqlError::new(sqlstate::PROTOCOL_VIOLATION, message)
}

/// What is left to decode of a message's body.
struct Body<'a> {
    rest: &'a [u8],
}

impl<'a> Body<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(violation("insufficient data left in message")),
        }
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn i16(&mut self) -> Result<i16> {
        let bytes = self.take(2)?;
        Ok(i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A number of things; the protocol has it in 16 bits without a sign.
    fn count(&mut self) -> Result<usize> {
        Ok(usize::from(self.i16()? as u16))
    }

    /// A text up to its zero byte.
    fn text(&mut self) -> Result<&'a str> {
        let end = self.rest.iter().position(|&byte| byte == 0);
        let end = end.ok_or_else(|| violation("invalid string in message"))?;
        let text = self.take(end + 1)?;
        utf8(&text[..end])
    }

    fn formats(&mut self) -> Result<Vec<i16>> {
        let count = self.count()?;
        let mut formats = Vec::with_capacity(count.min(self.rest.len() / 2));
        for _ in 0..count {
            formats.push(self.i16()?);
        }
        Ok(formats)
    }

    fn bind(&mut self) -> Result<Bind<'a>> {
        let (portal, statement) = (self.text()?, self.text()?);
        let argument_formats = self.formats()?;
        let count = self.count()?;
        let mut arguments = Vec::with_capacity(count.min(self.rest.len() / 4));
        for _ in 0..count {
            let length = self.u32()? as i32;
            arguments.push(match usize::try_from(length) {
                Ok(length) => Some(self.take(length)?),
                Err(_) => None,
            });
        }
        Ok(Bind { portal, statement, argument_formats, arguments, result_formats: self.formats()? })
    }

    fn target(&mut self, message: &str) -> Result<Target<'a>> {
        match self.u8()? {
            b'S' => Ok(Target::Statement(self.text()?)),
            b'P' => Ok(Target::Portal(self.text()?)),
            other => Err(violation(&format!("invalid {message} message subtype {other}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_frame_is_found_once_it_is_whole() {
        let bytes = frame(b'Q', b"select 1\0");
        for cut in 0..bytes.len() {
            assert_eq!(first_frame(&bytes[..cut]).unwrap(), None, "after {cut} bytes");
        }
        let found = first_frame(&bytes).unwrap().unwrap();
        assert_eq!(found.length(), bytes.len());
        assert_eq!(Message::decode(found).unwrap(), Message::Query("select 1"));
    }

    #[test]
    fn impossible_frames_are_fatal() {
        for bytes in [&b"?\0\0\0\x04"[..], b"Q\0\0\0\x03", b"S\0\0\xff\xff", b"Q\xff\xff\xff\xff"] {
            let error = first_frame(bytes).unwrap_err();
            assert_eq!(error.sqlstate(), sqlstate::PROTOCOL_VIOLATION);
            assert_eq!(error.fields().severity, Severity::Fatal);
        }
    }

    #[test]
    fn bind_decodes_arguments_and_formats() {
        let body = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0";
        let bytes = frame(b'B', body);
        let message = Message::decode(first_frame(&bytes).unwrap().unwrap()).unwrap();
        let expected = Bind {
            portal: "p",
            statement: "s",
            argument_formats: vec![1],
            arguments: vec![Some(b"x"), None],
            result_formats: vec![],
        };
        assert_eq!(message, Message::Bind(expected));
    }

    #[test]
    fn no_cut_body_panics() {
        let bodies: [(u8, &[u8]); 5] = [
            (b'B', b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\x01\0\x01"),
            (b'P', b"p\0select $1\0\0\x01\0\0\0\x17"),
            (b'D', b"Sname\0"),
            (b'E', b"name\0\0\0\0\x05"),
            (b'C', b"Pname\0"),
        ];
        for (kind, body) in bodies {
            assert!(Message::decode(Frame { kind, body }).is_ok());
            for cut in 0..body.len() {
                let error = Message::decode(Frame { kind, body: &body[..cut] }).unwrap_err();
                assert_eq!(error.sqlstate(), sqlstate::PROTOCOL_VIOLATION, "{} cut at {cut}", kind as char);
            }
        }
    }

    #[test]
    fn text_must_be_utf8() {
        let error = Message::decode(Frame { kind: b'Q', body: b"select '\xff\xfe'\0" }).unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate::CHARACTER_NOT_IN_REPERTOIRE);
        assert_eq!(error.message(), "invalid byte sequence for encoding \"UTF8\": 0xff");
    }
}
