//! A login from bytes.

use zeroize::Zeroizing;

use super::{
    FIXED_7_1, FIXED_7_2, Login7, MAX_FILE, MAX_LOGIN, MAX_TEXT, WHAT, option_flags3, unscramble,
};
use crate::secret::Secret;
use crate::tds::feature_ext::decode_features;
use crate::tds::reader::decode_utf16_lossy;
use crate::tds::{DecodeError, Feature, Reader, TdsVersion};

impl Login7 {
    /// Reads the payload of a LOGIN7 message.
    ///
    /// Both lengths of the fixed part are understood; which one it is shows in
    /// the offset of the host name, not in the version. Offsets of empty fields
    /// are ignored, and so is an impossible file name: jTDS keeps a packet size
    /// in its slot.
    ///
    /// # Errors
    /// [`DecodeError`] if a field lies outside of the login or passes the
    /// specification's bounds: 128 UTF-16 units, 128 KiB - 1 for the whole.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let login = whole(payload)?;
        let mut reader = Reader::named(WHAT, login);
        reader.skip(4)?;
        let mut decoded = numbers(&mut reader)?;
        let slots = Slots::read(&mut reader, decoded.tds_version)?;
        let data = Data(login);

        decoded.host_name = data.text("the host name", slots.host_name)?;
        decoded.user_name = data.text("the user name", slots.user_name)?;
        decoded.password = data.password("the password", slots.password)?;
        decoded.app_name = data.text("the application name", slots.app_name)?;
        decoded.server_name = data.text("the server name", slots.server_name)?;
        decoded.library_name = data.text("the library name", slots.library_name)?;
        decoded.language = data.text("the language", slots.language)?;
        decoded.database = data.text("the database name", slots.database)?;
        decoded.client_id = slots.client_id;
        decoded.sspi = data.bytes(slots.sspi)?.to_vec();
        decoded.attach_db_file = data.file(slots.attach_db_file);
        decoded.change_password = data.password("the new password", slots.change_password)?;
        // Up to 7.3 the bit is reserved and the slot unused: both may hold anything.
        let may_extend = decoded.tds_version >= TdsVersion::V7_4;
        if may_extend && decoded.option_flags3 & option_flags3::EXTENSION != 0 {
            decoded.features = data.features(slots.extension)?;
        }
        Ok(decoded)
    }
}

/// The login itself, as long as its first field says.
fn whole(payload: &[u8]) -> Result<&[u8], DecodeError> {
    let length = Reader::named(WHAT, payload).u32_le()?;
    let len = usize::try_from(length).unwrap_or(usize::MAX);
    if len > MAX_LOGIN {
        return Err(DecodeError::TooLong {
            what: "the login",
            len: length.into(),
            max: MAX_LOGIN as u64,
        });
    }
    Reader::named(WHAT, payload).take(len)
}

fn numbers(reader: &mut Reader<'_>) -> Result<Login7, DecodeError> {
    Ok(Login7 {
        tds_version: TdsVersion(reader.u32_le()?),
        packet_size: reader.u32_le()?,
        client_prog_version: reader.u32_le()?,
        client_pid: reader.u32_le()?,
        connection_id: reader.u32_le()?,
        option_flags1: reader.u8()?,
        option_flags2: reader.u8()?,
        type_flags: reader.u8()?,
        option_flags3: reader.u8()?,
        time_zone: reader.i32_le()?,
        lcid: reader.u32_le()?,
        ..Login7::default()
    })
}

/// An offset and a length; the length counts UTF-16 units or bytes.
#[derive(Clone, Copy, Default)]
struct Slot {
    offset: usize,
    len: usize,
}

impl Slot {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            offset: reader.u16_le()?.into(),
            len: reader.u16_le()?.into(),
        })
    }
}

struct Slots {
    host_name: Slot,
    user_name: Slot,
    password: Slot,
    app_name: Slot,
    server_name: Slot,
    extension: Slot,
    library_name: Slot,
    language: Slot,
    database: Slot,
    client_id: [u8; 6],
    sspi: Slot,
    attach_db_file: Slot,
    change_password: Slot,
}

impl Slots {
    fn read(reader: &mut Reader<'_>, version: TdsVersion) -> Result<Self, DecodeError> {
        let mut slots = Self {
            host_name: Slot::read(reader)?,
            user_name: Slot::read(reader)?,
            password: Slot::read(reader)?,
            app_name: Slot::read(reader)?,
            server_name: Slot::read(reader)?,
            extension: Slot::read(reader)?,
            library_name: Slot::read(reader)?,
            language: Slot::read(reader)?,
            database: Slot::read(reader)?,
            client_id: reader.array()?,
            sspi: Slot::read(reader)?,
            attach_db_file: Slot::read(reader)?,
            change_password: Slot::default(),
        };
        // The host name's offset marks where data begins, even if it is empty.
        let long = match slots.host_name.offset {
            offset if offset >= FIXED_7_2 => true,
            offset if offset >= FIXED_7_1 => false,
            _ => version >= TdsVersion::V7_2,
        };
        if long {
            slots.change_password = Slot::read(reader)?;
            let sspi_long = reader.u32_le()?;
            if slots.sspi.len == usize::from(u16::MAX) && sspi_long > 0 {
                slots.sspi.len = usize::try_from(sspi_long).unwrap_or(usize::MAX);
            }
        }
        Ok(slots)
    }
}

/// The whole login, into which the slots point.
struct Data<'a>(&'a [u8]);

impl<'a> Data<'a> {
    fn bytes(&self, slot: Slot) -> Result<&'a [u8], DecodeError> {
        if slot.len == 0 {
            return Ok(&[]);
        }
        let end = slot.offset.saturating_add(slot.len);
        self.0.get(slot.offset..end).ok_or(DecodeError::Invalid {
            what: WHAT,
            problem: "a field lies outside of the login",
        })
    }

    fn utf16(&self, what: &'static str, slot: Slot, max: usize) -> Result<&'a [u8], DecodeError> {
        if slot.len > max {
            return Err(DecodeError::TooLong {
                what,
                len: slot.len as u64,
                max: max as u64,
            });
        }
        self.bytes(Slot {
            offset: slot.offset,
            len: slot.len * 2,
        })
    }

    fn text(&self, what: &'static str, slot: Slot) -> Result<String, DecodeError> {
        self.utf16(what, slot, MAX_TEXT).map(decode_utf16_lossy)
    }

    fn file(&self, slot: Slot) -> String {
        let file = self.utf16("the file name", slot, MAX_FILE);
        file.map(decode_utf16_lossy).unwrap_or_default()
    }

    fn password(&self, what: &'static str, slot: Slot) -> Result<Secret, DecodeError> {
        let scrambled = self.utf16(what, slot, MAX_TEXT)?;
        let plain: Zeroizing<Vec<u8>> =
            Zeroizing::new(scrambled.iter().copied().map(unscramble).collect());
        // Reserved for the longest outcome, so that growing leaves no copy behind.
        let mut text = String::with_capacity(slot.len * 3);
        let units = plain.as_chunks::<2>().0.iter().copied();
        text.extend(
            char::decode_utf16(units.map(u16::from_le_bytes))
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)),
        );
        Ok(Secret::new(text))
    }

    fn features(&self, slot: Slot) -> Result<Vec<Feature>, DecodeError> {
        let mut pointer = Reader::named(WHAT, self.bytes(slot)?);
        let offset = usize::try_from(pointer.u32_le()?).unwrap_or(usize::MAX);
        let list = self.0.get(offset..).ok_or(DecodeError::Invalid {
            what: WHAT,
            problem: "the feature list lies outside of the login",
        })?;
        decode_features(&mut Reader::named("the feature list", list))
    }
}
