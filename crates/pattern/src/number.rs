//! Numbers as JSON has them, compared by value: `300`, `300.0` and `3e2` are one number.
//!
//! Integers that fit 64 bits, signed or not, are exact, so that large identifiers do not melt into their neighbours;
//! everything else is a double. Invariant: an integral double below 2^64 is always held as an integer, so equality is
//! equality of the representation and the type can be a map's key.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// 2^64, the first magnitude that is always kept as a double.
const INTEGER_BOUND: f64 = 18_446_744_073_709_551_616.0;

#[derive(Debug, Clone, Copy)]
pub struct Number(Form);

#[derive(Debug, Clone, Copy)]
enum Form {
    Integer(i128),
    Double(f64),
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Form::Integer(i128::from(value)))
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(Form::Integer(i128::from(value)))
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        if value.fract() == 0.0 && value.abs() < INTEGER_BOUND {
            Self(Form::Integer(value as i128))
        } else {
            Self(Form::Double(value))
        }
    }
}

impl From<&serde_json::Number> for Number {
    fn from(value: &serde_json::Number) -> Self {
        match (value.as_i64(), value.as_u64()) {
            (Some(integer), _) => Self::from(integer),
            (None, Some(integer)) => Self::from(integer),
            (None, None) => Self::from(value.as_f64().unwrap_or(f64::NAN)),
        }
    }
}

impl Number {
    /// A total order by value; JSON has no NaN.
    pub fn compare(self, other: Self) -> Ordering {
        match (self.0, other.0) {
            (Form::Integer(a), Form::Integer(b)) => a.cmp(&b),
            (Form::Double(a), Form::Double(b)) => a.total_cmp(&b),
            (Form::Integer(a), Form::Double(b)) => integer_to_double(a, b),
            (Form::Double(a), Form::Integer(b)) => integer_to_double(b, a).reverse(),
        }
    }
}

/// Never `Equal`: by the invariant a double here is fractional or beyond every integer held.
fn integer_to_double(integer: i128, double: f64) -> Ordering {
    if double >= INTEGER_BOUND {
        return Ordering::Less;
    }
    if double <= -INTEGER_BOUND {
        return Ordering::Greater;
    }
    if integer <= double.floor() as i128 { Ordering::Less } else { Ordering::Greater }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.compare(*other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0 {
            Form::Integer(value) => value.hash(state),
            Form::Double(value) => value.to_bits().hash(state),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Form::Integer(value) => write!(f, "{value}"),
            Form::Double(value) => write!(f, "{value:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integral_doubles_equal_integers() {
        assert_eq!(Number::from(300.0), Number::from(300_i64));
        assert_eq!(Number::from(-0.0), Number::from(0_i64));
        assert_ne!(Number::from(300.5), Number::from(300_i64));
    }

    #[test]
    fn large_integers_stay_apart() {
        assert_ne!(Number::from(9_007_199_254_740_993_i64), Number::from(9_007_199_254_740_992_i64));
        assert_eq!(Number::from(u64::MAX).compare(Number::from(i64::MAX)), Ordering::Greater);
        assert_eq!(Number::from(u64::MAX).compare(Number::from(1e300)), Ordering::Less);
    }

    #[test]
    fn integers_and_fractions_are_ordered() {
        assert_eq!(Number::from(1_i64).compare(Number::from(1.5)), Ordering::Less);
        assert_eq!(Number::from(2_i64).compare(Number::from(1.5)), Ordering::Greater);
        assert_eq!(Number::from(-1_i64).compare(Number::from(-1.5)), Ordering::Greater);
        assert_eq!(Number::from(-2_i64).compare(Number::from(-1.5)), Ordering::Less);
        assert_eq!(Number::from(0_i64).compare(Number::from(1e-320)), Ordering::Less);
    }
}
