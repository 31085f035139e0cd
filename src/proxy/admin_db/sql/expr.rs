//! Expressions whose names are resolved.

use super::functions::Function;
use super::like::Pattern;
use super::value::Kind;
use crate::tds::Scalar;

/// An expression over a row, or over the rows of a group.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Value(Scalar),
    /// A column by its place, and its kind.
    Column(usize, Kind),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// Not below the second, and not above the third.
    Between(Box<Expr>, Box<Expr>, Box<Expr>),
    /// True if any is equal; unknown if none is, and one is NULL.
    In(Box<Expr>, Vec<Expr>),
    IsNull(Box<Expr>),
    /// With a pattern that is known beforehand.
    Like(Box<Expr>, Pattern),
    /// With one that is not.
    LikeOf(Box<Expr>, Box<Expr>),
    Case {
        /// What the conditions are compared with, if it is not their truth.
        operand: Option<Box<Expr>>,
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast {
        value: Box<Expr>,
        kind: Kind,
        /// NULL in place of an error.
        lenient: bool,
    },
    Call(Function, Vec<Expr>),
    Aggregate {
        function: Aggregate,
        distinct: bool,
        /// None for COUNT(*).
        of: Option<Box<Expr>>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Average,
    Count,
    Max,
    Min,
    Sum,
}

impl Expr {
    /// The kind of its values; what is never anything but NULL is an int, as
    /// SQL Server has it.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Value(Scalar::Null) => Kind::Int,
            Self::Value(value) => Kind::of(value),
            Self::Column(_, kind) | Self::Cast { kind, .. } => *kind,
            Self::Negative(of) => of.kind(),
            Self::Binary(operator, left, right) => binary_kind(*operator, left, right),
            Self::Not(_)
            | Self::Between(..)
            | Self::In(..)
            | Self::IsNull(_)
            | Self::Like(..)
            | Self::LikeOf(..) => Kind::Bit,
            Self::Case {
                whens, otherwise, ..
            } => {
                let results = whens.iter().map(|(_, result)| result);
                joined_kind(results.chain(otherwise.as_deref()))
            }
            Self::Call(function, arguments) => function.kind(arguments),
            Self::Aggregate { function, of, .. } => match (function, of) {
                (Aggregate::Count, _) | (_, None) => Kind::Int,
                (Aggregate::Min | Aggregate::Max, Some(of)) => of.kind(),
                (Aggregate::Sum | Aggregate::Average, Some(of)) => match of.kind() {
                    Kind::Float => Kind::Float,
                    _ => Kind::BigInt,
                },
            },
        }
    }

    pub(super) fn has_aggregate(&self) -> bool {
        matches!(self, Self::Aggregate { .. }) || self.parts().into_iter().any(Self::has_aggregate)
    }

    /// The first column that stands outside of aggregates and is not among
    /// these.
    pub(super) fn ungrouped(&self, grouped: &[usize]) -> Option<usize> {
        match self {
            Self::Aggregate { .. } => None,
            Self::Column(at, _) => Some(*at).filter(|at| !grouped.contains(at)),
            other => other
                .parts()
                .into_iter()
                .find_map(|part| part.ungrouped(grouped)),
        }
    }

    fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Value(_) | Self::Column(..) => Vec::new(),
            Self::Not(of)
            | Self::Negative(of)
            | Self::IsNull(of)
            | Self::Like(of, _)
            | Self::Cast { value: of, .. } => vec![of],
            Self::Binary(_, left, right) | Self::LikeOf(left, right) => vec![left, right],
            Self::In(of, list) => [&**of].into_iter().chain(list).collect(),
            Self::Between(of, low, high) => vec![of, low, high],
            Self::Case {
                operand,
                whens,
                otherwise,
            } => whens
                .iter()
                .flat_map(|(when, then)| [when, then])
                .chain(operand.as_deref())
                .chain(otherwise.as_deref())
                .collect(),
            Self::Call(_, arguments) => arguments.iter().collect(),
            Self::Aggregate { of, .. } => of.as_deref().into_iter().collect(),
        }
    }
}

impl Binary {
    pub(super) fn is_arithmetic(self) -> bool {
        matches!(
            self,
            Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Modulo
        )
    }
}

/// The kind of what may be any of these; a bare NULL does not count.
pub(super) fn joined_kind<'a>(all: impl Iterator<Item = &'a Expr>) -> Kind {
    all.filter(|expr| !matches!(expr, Expr::Value(Scalar::Null)))
        .map(Expr::kind)
        .reduce(Kind::joined)
        .unwrap_or(Kind::Int)
}

fn binary_kind(operator: Binary, left: &Expr, right: &Expr) -> Kind {
    if !operator.is_arithmetic() {
        return Kind::Bit;
    }
    match (left.kind(), right.kind()) {
        (Kind::Text(a), Kind::Text(b)) => Kind::Text(a.saturating_add(b)),
        (a, b) => match a.joined(b) {
            Kind::Float => Kind::Float,
            _ => Kind::BigInt,
        },
    }
}
