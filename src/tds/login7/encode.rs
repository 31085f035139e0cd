//! A login to bytes.

use super::{FIXED_7_1, FIXED_7_2, Login7, MAX_FILE, MAX_LOGIN, MAX_TEXT, option_flags3, scramble};
use crate::tds::feature_ext::{encode_features, features_len};
use crate::tds::writer::utf16_len;
use crate::tds::{EncodeError, Put, TdsVersion};

impl Login7 {
    /// Appends the payload of a LOGIN7 message.
    ///
    /// `out` is reserved once and holds secrets afterwards: wipe it when sent.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] for a text beyond 128 UTF-16 units (the file
    /// name 260) or a login beyond 128 KiB - 1; [`EncodeError::Unsupported`]
    /// for features below 7.4, or a new password below 7.2.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let layout = Layout::of(self)?;
        out.reserve(layout.total);
        self.encode_numbers(&layout, out);
        layout.encode_slots(self, out);
        layout.encode_data(self, out)
    }

    fn encode_numbers(&self, layout: &Layout<'_>, out: &mut Vec<u8>) {
        let extension = if layout.extension {
            option_flags3::EXTENSION
        } else {
            0
        };
        // `Layout::of` keeps every length below 128 KiB.
        out.put_u32_le(u32::try_from(layout.total).unwrap_or(u32::MAX));
        out.put_u32_le(self.tds_version.0);
        out.put_u32_le(self.packet_size);
        out.put_u32_le(self.client_prog_version);
        out.put_u32_le(self.client_pid);
        out.put_u32_le(self.connection_id);
        out.put_u8(self.option_flags1);
        out.put_u8(self.option_flags2);
        out.put_u8(self.type_flags);
        out.put_u8(self.option_flags3 | extension);
        out.put_i32_le(self.time_zone);
        out.put_u32_le(self.lcid);
    }
}

/// Where everything goes: the fixed part, the texts, the offset of the feature
/// list, the SSPI blob and the feature list, in this order, so that the offsets
/// of two bytes stay small.
struct Layout<'a> {
    texts: [Text<'a>; 10],
    fixed: usize,
    extension: bool,
    sspi_at: usize,
    features_at: usize,
    total: usize,
}

#[derive(Clone, Copy)]
struct Text<'a> {
    text: &'a str,
    units: usize,
    secret: bool,
}

/// Index of the texts around which the fixed part has other slots.
const SERVER_NAME: usize = 4;
const DATABASE: usize = 7;
const CHANGE_PASSWORD: usize = 9;

impl<'a> Layout<'a> {
    fn of(login: &'a Login7) -> Result<Self, EncodeError> {
        let texts = [
            Text::new("the host name", &login.host_name, MAX_TEXT)?,
            Text::new("the user name", &login.user_name, MAX_TEXT)?,
            Text::new("the password", login.password.expose(), MAX_TEXT)?.secret(),
            Text::new("the application name", &login.app_name, MAX_TEXT)?,
            Text::new("the server name", &login.server_name, MAX_TEXT)?,
            Text::new("the library name", &login.library_name, MAX_TEXT)?,
            Text::new("the language", &login.language, MAX_TEXT)?,
            Text::new("the database name", &login.database, MAX_TEXT)?,
            Text::new("the file name", &login.attach_db_file, MAX_FILE)?,
            Text::new("the new password", login.change_password.expose(), MAX_TEXT)?.secret(),
        ];
        let before_7_2 = login.tds_version < TdsVersion::V7_2;
        let wanted = login.option_flags3 & option_flags3::EXTENSION != 0;
        let extension = wanted || !login.features.is_empty();
        if before_7_2 && !login.change_password.is_empty() {
            return Err(unsupported("a new password", "it needs TDS 7.2"));
        }
        if extension && login.tds_version < TdsVersion::V7_4 {
            return Err(unsupported("feature requests", "they need TDS 7.4"));
        }
        if before_7_2 && login.sspi.len() >= usize::from(u16::MAX) {
            return Err(unsupported("the SSPI blob", "its length needs TDS 7.2"));
        }

        let fixed = if before_7_2 { FIXED_7_1 } else { FIXED_7_2 };
        let text_bytes: usize = texts.iter().map(|text| text.units * 2).sum();
        let extension_at = fixed + text_bytes;
        let sspi_at = extension_at + if extension { 4 } else { 0 };
        let features_at = sspi_at + login.sspi.len();
        let features = if extension {
            features_len(&login.features)
        } else {
            0
        };
        let total = features_at + features;
        if total > MAX_LOGIN {
            return Err(EncodeError::TooLong {
                what: "the login",
                len: total,
                max: MAX_LOGIN,
            });
        }
        Ok(Self {
            texts,
            fixed,
            extension,
            sspi_at,
            features_at,
            total,
        })
    }

    /// The offset and length pairs of the fixed part, and the client id that
    /// stands among them.
    fn encode_slots(&self, login: &Login7, out: &mut Vec<u8>) {
        let mut at = self.fixed;
        for (index, text) in self.texts.iter().enumerate() {
            if index == CHANGE_PASSWORD && self.fixed == FIXED_7_1 {
                break;
            }
            put_slot(out, at, text.units);
            at += text.units * 2;
            match index {
                SERVER_NAME if self.extension => put_slot(out, self.sspi_at - 4, 4),
                SERVER_NAME => put_slot(out, 0, 0),
                DATABASE => {
                    out.put_slice(&login.client_id);
                    put_slot(out, self.sspi_at, login.sspi.len());
                }
                _ => {}
            }
        }
        if self.fixed == FIXED_7_2 {
            let fits = login.sspi.len() < usize::from(u16::MAX);
            let len = if fits { 0 } else { login.sspi.len() };
            out.put_u32_le(u32::try_from(len).unwrap_or(u32::MAX));
        }
    }

    fn encode_data(&self, login: &Login7, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for text in self.texts {
            let start = out.len();
            out.put_utf16(text.text);
            if text.secret {
                let written = out.get_mut(start..).unwrap_or_default();
                written.iter_mut().for_each(|byte| *byte = scramble(*byte));
            }
        }
        if self.extension {
            out.put_u32_le(u32::try_from(self.features_at).unwrap_or(u32::MAX));
        }
        out.put_slice(&login.sspi);
        if self.extension {
            encode_features(&login.features, out)?;
        }
        Ok(())
    }
}

impl<'a> Text<'a> {
    fn new(what: &'static str, text: &'a str, max: usize) -> Result<Self, EncodeError> {
        match utf16_len(text) {
            len if len > max => Err(EncodeError::TooLong { what, len, max }),
            units => Ok(Self {
                text,
                units,
                secret: false,
            }),
        }
    }

    fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// A length that does not fit stands as 0xFFFF: only that of SSPI can, and
/// cbSSPILong then has it.
fn put_slot(out: &mut Vec<u8>, offset: usize, len: usize) {
    out.put_u16_le(u16::try_from(offset).unwrap_or(u16::MAX));
    out.put_u16_le(u16::try_from(len).unwrap_or(u16::MAX));
}

fn unsupported(what: &'static str, problem: &'static str) -> EncodeError {
    EncodeError::Unsupported { what, problem }
}
