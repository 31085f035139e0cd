//! Keeps what is logged, measured and said, and finds a secret in it in whatever form.

use std::error::Error;
use std::fmt::Debug;
use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tracing_subscriber::fmt::MakeWriter;

/// All that was told.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<Vec<u8>>>);

impl Told {
    pub(super) fn text(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    /// Keeps the names and labels of all metrics of the process from now on.
    pub(super) fn measure(&self) {
        metrics::set_global_recorder(self.clone()).unwrap();
    }

    pub(super) fn debug(&self, value: &dyn Debug) {
        self.line(&format!("{value:?}"));
        self.line(&format!("{value:#?}"));
    }

    /// Every level, in both forms.
    pub(super) fn error(&self, error: &dyn Error) {
        self.debug(&error);
        self.line(&error.to_string());
        let mut cause = error.source();
        while let Some(error) = cause {
            self.debug(&error);
            self.line(&error.to_string());
            cause = error.source();
        }
    }

    fn line(&self, text: &str) {
        let mut kept = self.0.lock().unwrap();
        kept.extend_from_slice(text.as_bytes());
        kept.push(b'\n');
    }
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Told {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Recorder for Told {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.line(&key.to_string());
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.line(&key.to_string());
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.line(&key.to_string());
        Histogram::noop()
    }
}

/// Each place where the secret is told, with what is around it.
pub(super) fn leaks(text: &[u8], secret: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let mut found = Vec::new();
    for (name, form) in forms(secret) {
        // All of them are ASCII.
        let form = String::from_utf8(form).unwrap();
        found.extend(text.match_indices(&form).map(|(at, _)| {
            let (from, to) = (at.saturating_sub(300), text.len().min(at + 200));
            let around = String::from_utf8_lossy(&text.as_bytes()[from..to]);
            format!("{name}: {around}")
        }));
    }
    found
}

/// How a secret may come to stand in a text.
fn forms(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let utf8 = secret.as_bytes();
    let utf16: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let each = |write: fn(&u8) -> String, between| {
        let bytes: Vec<_> = utf8.iter().map(write).collect();
        bytes.join(between).into_bytes()
    };
    let mut forms = vec![
        ("as it is", utf8.to_vec()),
        ("percent-encoded", each(|byte| format!("%{byte:02X}"), "")),
        ("as numbers", each(u8::to_string, ", ")),
        (
            "as hexadecimal numbers",
            each(|byte| format!("{byte:02x}"), ""),
        ),
    ];
    for shift in 0..3 {
        forms.push(("base64", within_base64(utf8, shift)));
        forms.push(("base64 of UTF-16", within_base64(&utf16, shift)));
    }
    forms.push(("UTF-16", utf16));
    forms
}

/// What base64 makes of the bytes in the middle of others, without the digits
/// that depend on the others. The two alphabets agree on what it is used for here.
fn within_base64(bytes: &[u8], shift: usize) -> Vec<u8> {
    let mut shifted = vec![0; shift];
    shifted.extend_from_slice(bytes);
    shifted.truncate(shifted.len() / 3 * 3);
    let digits = STANDARD_NO_PAD.encode(shifted).into_bytes();
    digits[if shift == 0 { 0 } else { 4 }..].to_vec()
}

#[test]
fn a_secret_is_found_in_every_form() {
    let secret = "Zq7MarkerZq7";
    let utf16: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for text in [
        secret.as_bytes().to_vec(),
        utf16.clone(),
        format!("{:?}", secret.as_bytes()).into_bytes(),
        STANDARD_NO_PAD
            .encode(format!("user:{secret}"))
            .into_bytes(),
        STANDARD_NO_PAD.encode(format!("u:{secret}!")).into_bytes(),
        STANDARD_NO_PAD.encode(format!("ab:{secret}!")).into_bytes(),
        STANDARD_NO_PAD.encode(&utf16).into_bytes(),
        b"%5A%71%37%4D%61%72%6B%65%72%5A%71%37".to_vec(),
        b"5a71374d61726b65725a7137".to_vec(),
    ] {
        let text = [b"before ", &text[..], b" after"].concat();
        assert_eq!(
            leaks(&text, secret).len(),
            1,
            "{}",
            String::from_utf8_lossy(&text)
        );
    }
    assert!(leaks(b"Zq7 Marker Zq7", secret).is_empty());
}
