//! `enum` as the object that TypeScript makes of it, member by member where it stands.

use std::collections::HashMap;

use oxc_ast::ast::{
    BinaryExpression, BinaryOperator, Expression, IdentifierReference, TSEnumDeclaration, TSEnumMember,
    TSEnumMemberName, UnaryOperator,
};
use oxc_ast_visit::Visit;
use oxc_span::GetSpan;
use serde_json::Value;

use super::{ExportedBy, Stripper};

/// What is known of a member's value.
#[derive(Debug, Clone, PartialEq)]
enum Known {
    Number(f64),
    Text,
    /// It is computed when the enum is made.
    No,
}

impl Stripper<'_> {
    pub(super) fn enumeration(&mut self, it: &TSEnumDeclaration<'_>, by: ExportedBy<'_>) {
        let name = it.id.name.to_string();
        let opening = self.opening(&name, by);
        self.edits.replace(it.span.start, it.body.span.start + 1, opening);
        let mut members: HashMap<String, Known> = HashMap::new();
        let mut next = Known::Number(0.0);
        for (index, member) in it.body.members.iter().enumerate() {
            let Some(label) = label(member) else {
                return self.refuse(member.span, "the name of an enum's member must be written out");
            };
            let value = member.initializer.as_ref().map_or(next.clone(), |value| known(value, &members));
            self.member(&name, &label, member, &value, &members);
            next = match value {
                Known::Number(number) => Known::Number(number + 1.0),
                _ => Known::No,
            };
            members.insert(label, value);
            let end = it.body.members.get(index + 1).map_or(it.body.span.end - 1, |following| following.span.start);
            self.edits.blank(member.span.end, end);
        }
        self.edits.replace(it.body.span.end - 1, it.body.span.end, format!("}})({name}||({name}={{}}));"));
    }

    /// `var E;(function(E){`, without the variable where something of that name is there already; from now on it is.
    pub(super) fn opening(&mut self, name: &str, by: ExportedBy<'_>) -> String {
        let is_outermost = self.scopes.len() == 1;
        let is_new = self.scopes.last_mut().is_none_or(|scope| scope.insert(name.to_owned()));
        let variable = match by {
            // The semicolon keeps the statement before from calling the function.
            _ if !is_new => ";".to_owned(),
            // Another part of the namespace may have made it.
            ExportedBy::Namespace(outer) => format!("let {name}={outer}.{name};"),
            _ if is_outermost => format!("var {name};"),
            // As TypeScript has it: of a block, like the enum.
            _ => format!("let {name};"),
        };
        format!("{variable}(function({name}){{")
    }

    /// Whether the statements around have something of that name that an enum or a namespace adds to.
    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.scopes.last().is_some_and(|scope| scope.contains(name))
    }

    fn member(
        &mut self,
        name: &str,
        label: &str,
        member: &TSEnumMember<'_>,
        value: &Known,
        members: &HashMap<String, Known>,
    ) {
        let key = Value::from(label).to_string();
        let (before, after) = match value {
            Known::Text => (format!("{name}[{key}]="), ";".to_owned()),
            _ => (format!("{name}[{name}[{key}]="), format!("]={key};")),
        };
        let Some(initializer) = &member.initializer else {
            return match value {
                Known::Number(number) => {
                    let text = format!("{before}{}{after}", written(*number));
                    self.edits.replace(member.span.start, member.span.end, text);
                }
                _ => self.refuse(member.span, "an enum's member behind one that is computed or a text needs a value"),
            };
        };
        let span = initializer.span();
        match value {
            Known::Number(number) => {
                let text = format!("{before}{}{after}", written(*number));
                self.edits.replace(member.span.start, member.span.end, text);
            }
            _ => {
                self.edits.replace(member.span.start, span.start, before);
                self.visit_expression(initializer);
                // Members of the same enum are known by their bare names there.
                let mut references = References { found: Vec::new() };
                references.visit_expression(initializer);
                for (at, used) in references.found {
                    if members.contains_key(&used) {
                        self.edits.insert(at, format!("{name}."));
                    }
                }
                self.edits.insert(span.end, after);
            }
        }
    }
}

struct References {
    found: Vec<(u32, String)>,
}

impl<'a> Visit<'a> for References {
    fn visit_identifier_reference(&mut self, it: &IdentifierReference<'a>) {
        self.found.push((it.span.start, it.name.to_string()));
    }
}

fn label(member: &TSEnumMember<'_>) -> Option<String> {
    match &member.id {
        TSEnumMemberName::Identifier(name) => Some(name.name.to_string()),
        TSEnumMemberName::String(text) | TSEnumMemberName::ComputedString(text) => Some(text.value.to_string()),
        TSEnumMemberName::ComputedTemplateString(_) => None,
    }
}

fn known(value: &Expression<'_>, members: &HashMap<String, Known>) -> Known {
    match value {
        Expression::NumericLiteral(literal) => Known::Number(literal.value),
        Expression::StringLiteral(_) | Expression::TemplateLiteral(_) => Known::Text,
        Expression::ParenthesizedExpression(inner) => known(&inner.expression, members),
        Expression::Identifier(name) => members.get(name.name.as_str()).cloned().unwrap_or(Known::No),
        Expression::UnaryExpression(it) => match (it.operator, known(&it.argument, members)) {
            (UnaryOperator::UnaryNegation, Known::Number(number)) => Known::Number(-number),
            (UnaryOperator::UnaryPlus, Known::Number(number)) => Known::Number(number),
            (UnaryOperator::BitwiseNot, Known::Number(number)) => whole(number).map_or(Known::No, |a| int(!a)),
            _ => Known::No,
        },
        Expression::BinaryExpression(it) => computed(it, members),
        _ => Known::No,
    }
}

fn computed(it: &BinaryExpression<'_>, members: &HashMap<String, Known>) -> Known {
    let (left, right) = (known(&it.left, members), known(&it.right, members));
    let (Known::Number(left), Known::Number(right)) = (&left, &right) else {
        let is_text = it.operator == BinaryOperator::Addition && (left == Known::Text || right == Known::Text);
        return if is_text { Known::Text } else { Known::No };
    };
    match it.operator {
        BinaryOperator::Addition => return Known::Number(left + right),
        BinaryOperator::Subtraction => return Known::Number(left - right),
        BinaryOperator::Multiplication => return Known::Number(left * right),
        BinaryOperator::Division if *right != 0.0 => return Known::Number(left / right),
        _ => {}
    }
    // The bit operators, on what JavaScript and we agree about.
    let (Some(left), Some(right)) = (whole(*left), whole(*right)) else { return Known::No };
    match it.operator {
        BinaryOperator::BitwiseOR => int(left | right),
        BinaryOperator::BitwiseAnd => int(left & right),
        BinaryOperator::BitwiseXOR => int(left ^ right),
        BinaryOperator::ShiftLeft => int(left.wrapping_shl(right as u32 & 31)),
        BinaryOperator::ShiftRight => int(left.wrapping_shr(right as u32 & 31)),
        _ => Known::No,
    }
}

/// As JavaScript writes it.
fn written(number: f64) -> String {
    if number.is_finite() {
        return number.to_string();
    }
    let name = if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    name.to_owned()
}

fn whole(number: f64) -> Option<i32> {
    (number.fract() == 0.0 && number.abs() < f64::from(i32::MAX)).then_some(number as i32)
}

fn int(number: i32) -> Known {
    Known::Number(f64::from(number))
}
