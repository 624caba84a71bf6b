//! Classes: members without a body, modifiers, and parameters that are properties.

use oxc_ast::ast::{
    BindingPattern, Class, ClassElement, Expression, FunctionBody, MethodDefinition, MethodDefinitionKind,
    MethodDefinitionType, PropertyDefinition, PropertyDefinitionType, Statement,
};
use oxc_ast_visit::walk;
use oxc_span::{GetSpan, Span};

use super::Stripper;

/// Fields' names that mean something else where a name follows.
const PREFIXES: [&str; 3] = ["get", "set", "static"];
/// Words before a member's name that mean nothing at run time.
const MODIFIERS: [&str; 7] = ["public", "private", "protected", "readonly", "override", "abstract", "declare"];

impl Stripper<'_> {
    pub(super) fn class<'a>(&mut self, it: &Class<'a>) {
        if it.r#abstract {
            self.drop_words(
                it.span.start,
                it.id.as_ref().map_or(it.body.span.start, |id| id.span.start),
                &["abstract"],
            );
        }
        if let Some(first) = it.implements.first() {
            // Everything between the head and the body.
            if let Some(at) = self.text[..first.span.start as usize].rfind("implements") {
                self.edits.blank(at as u32, it.body.span.start);
            }
        }
        if let Some(constructor) = constructor(it) {
            self.properties_of_parameters(constructor, it.heritage.is_some());
        }
        walk::walk_class(self, it);
    }

    pub(super) fn method<'a>(&mut self, it: &MethodDefinition<'a>) {
        let is_abstract = it.r#type == MethodDefinitionType::TSAbstractMethodDefinition;
        if is_abstract || it.value.body.is_none() {
            return self.drop_statement(it.span);
        }
        self.drop_modifiers(it.span, it.key.span(), it.value.generator || it.computed);
        if it.optional {
            self.drop_mark(self.behind_key(it.key.span(), it.computed), '?');
        }
        walk::walk_method_definition(self, it);
    }

    pub(super) fn property<'a>(&mut self, it: &PropertyDefinition<'a>) {
        if it.declare || it.r#type == PropertyDefinitionType::TSAbstractPropertyDefinition {
            return self.drop_statement(it.span);
        }
        self.drop_modifiers(it.span, it.key.span(), it.computed);
        if it.optional || it.definite {
            self.drop_mark(self.behind_key(it.key.span(), it.computed), if it.optional { '?' } else { '!' });
        }
        if let Some(annotation) = it.type_annotation.as_ref().filter(|_| it.value.is_none() && !it.computed)
            && PREFIXES.contains(&self.slice(it.key.span().start, it.key.span().end))
        {
            // The type was what kept it from the member behind.
            self.edits.mark(annotation.span.start, ';');
        }
        walk::walk_property_definition(self, it);
    }

    /// Where a member's name ends, its bracket included.
    fn behind_key(&self, key: Span, is_computed: bool) -> u32 {
        if !is_computed {
            return key.end;
        }
        let rest = &self.text[key.end as usize..];
        key.end + rest.find(']').map_or(0, |at| at as u32 + 1)
    }

    /// `needs_end`: what then comes first could run into the member before.
    fn drop_modifiers(&mut self, member: Span, key: Span, needs_end: bool) {
        let first = self.drop_words(member.start, key.start, &MODIFIERS);
        if needs_end && first == Some(member.start) {
            self.edits.mark(member.start, ';');
        }
    }

    /// Blanks these words between two places; where the first of them is.
    fn drop_words(&mut self, from: u32, to: u32, words: &[&str]) -> Option<u32> {
        let mut first = None;
        let mut at = from as usize;
        let end = to as usize;
        while at < end {
            let rest = &self.text[at..end];
            let start = rest.find(|c: char| c.is_ascii_alphabetic()).map_or(end, |offset| at + offset);
            let length = self.text[start..end].find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(end - start);
            if words.contains(&&self.text[start..start + length]) {
                self.edits.blank(start as u32, (start + length) as u32);
                first = first.or(Some(start as u32));
            }
            at = start + length.max(1);
        }
        first
    }

    /// `constructor(private a: A) {}` sets `this.a`, behind `super()` if there is one.
    fn properties_of_parameters(&mut self, constructor: &MethodDefinition<'_>, has_super: bool) {
        let mut assignments = String::new();
        for parameter in &constructor.value.params.items {
            if parameter.accessibility.is_none() && !parameter.readonly && !parameter.r#override {
                continue;
            }
            self.drop_words(parameter.span.start, parameter.pattern.span().start, &MODIFIERS);
            match &parameter.pattern {
                BindingPattern::BindingIdentifier(id) => {
                    assignments.push_str(&format!("this.{0}={0};", id.name));
                }
                _ => self.refuse(parameter.span, "a parameter that is a property needs a plain name"),
            }
        }
        let Some(body) = constructor.value.body.as_ref().filter(|_| !assignments.is_empty()) else { return };
        match place_for_assignments(body, has_super) {
            // A semicolon, for the statement before may do without one.
            Some(at) if has_super => self.edits.insert(at, format!(";{assignments}")),
            Some(at) => self.edits.insert(at, assignments),
            None => self.refuse(
                constructor.span,
                "a constructor with parameters that are properties must call super() in a statement of its own",
            ),
        }
    }
}

fn constructor<'b, 'a>(class: &'b Class<'a>) -> Option<&'b MethodDefinition<'a>> {
    class.body.body.iter().find_map(|element| match element {
        ClassElement::MethodDefinition(it)
            if it.kind == MethodDefinitionKind::Constructor && it.value.body.is_some() =>
        {
            Some(&**it)
        }
        _ => None,
    })
}

fn place_for_assignments(body: &FunctionBody<'_>, has_super: bool) -> Option<u32> {
    if !has_super {
        return Some(body.directives.last().map_or(body.span.start + 1, |directive| directive.span.end));
    }
    body.statements.iter().find_map(|statement| match statement {
        Statement::ExpressionStatement(it) => match &it.expression {
            Expression::CallExpression(call) if matches!(call.callee, Expression::Super(_)) => Some(it.span.end),
            _ => None,
        },
        _ => None,
    })
}
