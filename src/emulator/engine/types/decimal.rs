//! Exact decimals of up to 38 digits, and a form of them that sorts as bytes.

use std::fmt;

use super::super::error::{SqlError, SqlResult};

/// `mantissa / 10^scale`, with |mantissa| < 10^38.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    mantissa: i128,
    scale: u8,
}

/// The most digits that SQL Server keeps.
pub(crate) const MAX_PRECISION: u8 = 38;

impl Decimal {
    pub(crate) const ZERO: Self = Self {
        mantissa: 0,
        scale: 0,
    };

    /// `None` if the mantissa has more than 38 digits or the scale is above 38.
    pub(crate) fn new(mantissa: i128, scale: u8) -> Option<Self> {
        (scale <= MAX_PRECISION && mantissa.unsigned_abs() < pow10(MAX_PRECISION))
            .then_some(Self { mantissa, scale })
    }

    pub(crate) fn from_int(value: i64) -> Self {
        Self {
            mantissa: i128::from(value),
            scale: 0,
        }
    }

    pub(crate) fn mantissa(self) -> i128 {
        self.mantissa
    }

    #[cfg(test)]
    pub(crate) fn scale(self) -> u8 {
        self.scale
    }

    /// Reads `[+-]digits[.digits][e[+-]digits]`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut mantissa: i128 = 0;
        let mut scale = 0u8;
        for (index, digit) in whole.chars().chain(fraction.chars()).enumerate() {
            let digit = i128::from(digit.to_digit(10)?);
            let next = mantissa.checked_mul(10)?.checked_add(digit)?;
            let in_fraction = index >= whole.len();
            if in_fraction && scale == MAX_PRECISION {
                // Digits beyond the 38th of the fraction cannot be kept; they were not asked for.
                continue;
            }
            mantissa = next;
            scale += u8::from(in_fraction);
        }
        Self::new(if negative { -mantissa } else { mantissa }, scale)
    }

    /// Rounds half away from zero to the scale; overflow of the precision is `None`.
    pub(crate) fn rescale(self, precision: u8, scale: u8) -> Option<Self> {
        let mantissa = if scale >= self.scale {
            self.mantissa
                .checked_mul(signed_pow10(scale - self.scale)?)?
        } else {
            round_div(self.mantissa, pow10(self.scale - scale))
        };
        (mantissa.unsigned_abs() < pow10(precision.min(MAX_PRECISION)))
            .then_some(Self { mantissa, scale })
    }

    /// Cuts the digits beyond the scale off.
    pub(crate) fn truncate(self, scale: u8) -> Self {
        if scale >= self.scale {
            return self;
        }
        let by = pow10(self.scale - scale).cast_signed();
        Self {
            mantissa: self.mantissa / by,
            scale,
        }
    }

    /// The integer part, if it fits.
    pub(crate) fn to_i64(self) -> Option<i64> {
        i64::try_from(self.truncate(0).mantissa).ok()
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "float is approximate by definition"
    )]
    pub(crate) fn to_f64(self) -> f64 {
        // Through text, so that the nearest double is chosen.
        self.to_string().parse().unwrap_or(self.mantissa as f64)
    }

    /// The decimal nearest to the double at the scale, of its 17 significant digits.
    pub(crate) fn from_f64(value: f64, precision: u8, scale: u8) -> Option<Self> {
        if !value.is_finite() || value.abs() >= 1e39 {
            return None;
        }
        let text = format!("{value:.16e}");
        let (digits, exponent) = text.split_once('e')?;
        let digits: i128 = digits.replace('.', "").parse().ok()?;
        let shift = exponent.parse::<i32>().ok()? - 16 + i32::from(scale);
        let mantissa = match u8::try_from(shift) {
            Ok(up) if up <= MAX_PRECISION => digits.checked_mul(signed_pow10(up)?)?,
            Ok(_) => return (digits == 0).then_some(Self::ZERO),
            Err(_) => match u8::try_from(-shift) {
                Ok(down) if down <= MAX_PRECISION => round_div(digits, pow10(down)),
                _ => 0,
            },
        };
        Self { mantissa, scale }.rescale(precision, scale)
    }

    pub(crate) fn negate(self) -> Self {
        Self {
            mantissa: -self.mantissa,
            ..self
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    pub(crate) fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// The sum at the scale, or overflow.
    pub(crate) fn add(self, other: Self, precision: u8, scale: u8) -> SqlResult<Self> {
        let at = self.scale.max(other.scale);
        let sum = self
            .rescale(MAX_PRECISION, at)
            .zip(other.rescale(MAX_PRECISION, at))
            .and_then(|(a, b)| a.mantissa.checked_add(b.mantissa));
        sum.map(|mantissa| Self {
            mantissa,
            scale: at,
        })
        .and_then(|sum| sum.rescale(precision, scale))
        .ok_or_else(numeric_overflow)
    }

    /// The product rounded to the scale, or overflow.
    pub(crate) fn mul(self, other: Self, precision: u8, scale: u8) -> SqlResult<Self> {
        let negative = (self.mantissa < 0) != (other.mantissa < 0);
        let wide = Wide::product(self.mantissa.unsigned_abs(), other.mantissa.unsigned_abs());
        let have = self.scale + other.scale;
        let magnitude = if have > scale {
            wide.round_down(have - scale)
        } else {
            wide.to_u128()
        };
        let mantissa = magnitude
            .and_then(|m| i128::try_from(m).ok())
            .ok_or_else(numeric_overflow)?;
        let exact = Self {
            mantissa: if negative { -mantissa } else { mantissa },
            scale: have.min(scale),
        };
        exact.rescale(precision, scale).ok_or_else(numeric_overflow)
    }

    /// The quotient cut off (not rounded) at the scale, as SQL Server does.
    pub(crate) fn div(self, other: Self, precision: u8, scale: u8) -> SqlResult<Self> {
        if other.mantissa == 0 {
            return Err(SqlError::divide_by_zero());
        }
        let negative = (self.mantissa < 0) != (other.mantissa < 0);
        let (a, b) = (self.mantissa.unsigned_abs(), other.mantissa.unsigned_abs());
        let (mut quotient, mut rest) = (a / b, a % b);
        // value = a/b * 10^(other.scale - self.scale); wanted: value * 10^scale.
        let shift = i32::from(scale) + i32::from(other.scale) - i32::from(self.scale);
        for _ in 0..shift.max(0) {
            let digit = next_digit(&mut rest, b);
            quotient = quotient
                .checked_mul(10)
                .and_then(|q| q.checked_add(digit))
                .ok_or_else(numeric_overflow)?;
        }
        for _ in shift..0 {
            quotient /= 10;
        }
        let mantissa = i128::try_from(quotient).map_err(|_| numeric_overflow())?;
        Self {
            mantissa: if negative { -mantissa } else { mantissa },
            scale,
        }
        .rescale(precision, scale)
        .ok_or_else(numeric_overflow)
    }

    /// The remainder with the sign of the dividend.
    pub(crate) fn rem(self, other: Self) -> SqlResult<Self> {
        if other.mantissa == 0 {
            return Err(SqlError::divide_by_zero());
        }
        let at = self.scale.max(other.scale);
        let (a, b) = self
            .rescale(MAX_PRECISION, at)
            .zip(other.rescale(MAX_PRECISION, at))
            .ok_or_else(numeric_overflow)?;
        Ok(Self {
            mantissa: a.mantissa % b.mantissa,
            scale: at,
        })
    }

    /// Bytes that compare as the numbers do and are equal for equal numbers of any scale.
    ///
    /// First a byte for sign and exponent, then the significant digits in base 100; all bits
    /// inverted (and a high end mark) when negative.
    pub(crate) fn to_sortable(self) -> Vec<u8> {
        if self.mantissa == 0 {
            return vec![0x80];
        }
        let digits = self.mantissa.unsigned_abs().to_string();
        let mut exponent = i32::try_from(digits.len()).unwrap_or(0) - i32::from(self.scale);
        let mut padded = String::with_capacity(42);
        if exponent.rem_euclid(2) == 1 {
            padded.push('0');
            exponent += 1;
        }
        padded.push_str(digits.trim_end_matches('0'));
        if padded.len() % 2 == 1 {
            padded.push('0');
        }
        let head = u8::try_from(0xC0 + exponent / 2).unwrap_or(0xFF);
        let mut bytes = vec![head];
        bytes.extend(padded.as_bytes().chunks(2).map(|pair| {
            let [a, b] = [pair.first(), pair.get(1)].map(|d| d.copied().unwrap_or(b'0') - b'0');
            a * 10 + b + 1
        }));
        if self.mantissa < 0 {
            bytes.push(0);
            for byte in &mut bytes {
                *byte = !*byte;
            }
        }
        bytes
    }

    /// Reads [`to_sortable`](Self::to_sortable) back.
    pub(crate) fn from_sortable(bytes: &[u8]) -> Option<Self> {
        let (&head, digits) = bytes.split_first()?;
        if head == 0x80 {
            return Some(Self::ZERO);
        }
        let negative = head < 0x80;
        let flip = |byte: u8| if negative { !byte } else { byte };
        let exponent = (i32::from(flip(head)) - 0xC0) * 2;
        let mut mantissa: i128 = 0;
        let mut count = 0i32;
        for pair in digits.iter().map(|b| flip(*b)).take_while(|b| *b != 0) {
            let pair = i128::from(pair) - 1;
            count += 2;
            mantissa = match mantissa.checked_mul(100).and_then(|m| m.checked_add(pair)) {
                Some(wide) => wide,
                // Only the last pair of a 38-digit number can overflow, and it ends in zero.
                None => {
                    count -= 1;
                    mantissa.checked_mul(10)?.checked_add(pair / 10)?
                }
            };
        }
        let mut scale = count - exponent;
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        while scale < 0 {
            mantissa = mantissa.checked_mul(10)?;
            scale += 1;
        }
        let mantissa = if negative { -mantissa } else { mantissa };
        Self::new(mantissa, u8::try_from(scale).ok()?)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa.unsigned_abs().to_string();
        let scale = usize::from(self.scale);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.to_sortable() == other.to_sortable()
    }
}

/// Digits before the point in groups of three.
pub(crate) fn grouped(text: &str) -> String {
    let (sign, rest) = text.split_at(usize::from(text.starts_with('-')));
    let (whole, fraction) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    let mut out = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

/// 10^n for n up to 38.
pub(crate) fn pow10(n: u8) -> u128 {
    10u128.pow(u32::from(n.min(MAX_PRECISION)))
}

fn signed_pow10(n: u8) -> Option<i128> {
    i128::try_from(pow10(n)).ok()
}

fn round_div(value: i128, by: u128) -> i128 {
    let by = by.cast_signed();
    let (quotient, rest) = (value / by, value % by);
    if rest.unsigned_abs() >= by.unsigned_abs() - rest.unsigned_abs() {
        quotient + value.signum()
    } else {
        quotient
    }
}

/// One digit of a long division: `rest * 10 / by`, leaving the remainder, with no wide product.
fn next_digit(rest: &mut u128, by: u128) -> u128 {
    let (mut digit, mut sum) = (0, 0u128);
    for _ in 0..10 {
        sum += *rest;
        if sum >= by {
            sum -= by;
            digit += 1;
        }
    }
    *rest = sum;
    digit
}

pub(crate) fn numeric_overflow() -> SqlError {
    SqlError::overflow("numeric")
}

/// A product of two 128-bit numbers, least significant half first.
struct Wide {
    low: u128,
    high: u128,
}

impl Wide {
    fn product(a: u128, b: u128) -> Self {
        const MASK: u128 = u64::MAX as u128;
        let (a0, a1, b0, b1) = (a & MASK, a >> 64, b & MASK, b >> 64);
        let (p00, p01, p10, p11) = (a0 * b0, a0 * b1, a1 * b0, a1 * b1);
        let middle = (p00 >> 64) + (p01 & MASK) + (p10 & MASK);
        Self {
            low: (p00 & MASK) | (middle << 64),
            high: p11 + (p01 >> 64) + (p10 >> 64) + (middle >> 64),
        }
    }

    fn to_u128(&self) -> Option<u128> {
        (self.high == 0).then_some(self.low)
    }

    /// Divided by ten; the remainder comes second.
    fn div10(&self) -> (Self, u128) {
        const MASK: u128 = u64::MAX as u128;
        let mut rest = 0u128;
        let mut step = |part: u128| {
            let value = (rest << 64) | part;
            rest = value % 10;
            value / 10
        };
        let (h1, h0) = (step(self.high >> 64), step(self.high & MASK));
        let (l1, l0) = (step(self.low >> 64), step(self.low & MASK));
        (
            Self {
                low: (l1 << 64) | l0,
                high: (h1 << 64) | h0,
            },
            rest,
        )
    }

    /// Divided by 10^digits, rounded half up.
    fn round_down(self, digits: u8) -> Option<u128> {
        let (mut wide, mut last) = (self, 0);
        for _ in 0..digits {
            (wide, last) = wide.div10();
        }
        wide.to_u128()?.checked_add(u128::from(last >= 5))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dec(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn quotients_are_cut_and_products_rounded() {
        assert_eq!(
            dec("2.0").div(dec("3.0"), 8, 6).unwrap().to_string(),
            "0.666666"
        );
        assert_eq!(dec("-1").div(dec("8"), 10, 2).unwrap().to_string(), "-0.12");
        assert_eq!(
            dec("1.25").mul(dec("0.5"), 10, 2).unwrap().to_string(),
            "0.63"
        );
        let big = Decimal::new(10i128.pow(38) - 1, 0).unwrap();
        assert_eq!(big.mul(big, 38, 0).unwrap_err().number, 8115);
        assert_eq!(big.div(dec("0"), 38, 0).unwrap_err().number, 8134);
    }

    #[test]
    fn the_longest_numbers_survive_sorting_form() {
        for text in [
            "99999999999999999999999999999999999999",
            "-99999999999999999999999999999999999999",
            "0.99999999999999999999999999999999999999",
            "-0.00000000000000000000000000000000000001",
            "9.9999999999999999999999999999999999999",
            "10000000000000000000000000000000000000",
        ] {
            let value = dec(text);
            let back = Decimal::from_sortable(&value.to_sortable()).unwrap();
            assert_eq!(back.rescale(38, value.scale()).unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn bytes_sort_as_numbers_do(a in any::<i64>(), b in any::<i64>(), scale in 0u8..20) {
            let (x, y) = (Decimal::new(a.into(), scale).unwrap(), Decimal::new(b.into(), scale).unwrap());
            prop_assert_eq!(x.to_sortable().cmp(&y.to_sortable()), a.cmp(&b));
            let wider = x.rescale(38, scale + 5);
            if let Some(wider) = wider {
                prop_assert_eq!(wider.to_sortable(), x.to_sortable());
            }
            let back = Decimal::from_sortable(&x.to_sortable()).unwrap();
            prop_assert_eq!(back.rescale(38, scale).unwrap().mantissa(), i128::from(a));
        }
    }
}
