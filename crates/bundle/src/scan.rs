//! What a module imports, and what else of it decides how it is loaded.

use oxc_ast::ast::{
    Argument, ArrowFunctionExpression, CallExpression, ExportAllDeclaration, ExportFromDeclaration, Expression,
    Function, ImportDeclaration, ImportExpression, ImportMeta, Program, PropertyDefinition, StringLiteral,
};
use oxc_ast_visit::{Visit, walk};
use oxc_span::{GetSpan, Span};
use oxc_syntax::scope::ScopeFlags;

use crate::fault::place;
use crate::resolve::Importer;

/// How a module asks for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// `import … from`, `export … from`: wanted before the module runs.
    Static,
    /// `import()`.
    Dynamic,
    Require,
}

impl How {
    pub fn importer(self) -> Importer {
        match self {
            How::Static | How::Dynamic => Importer::Import,
            How::Require => Importer::Require,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub specifier: String,
    pub how: How,
    /// In a function: it may be asked for when the handler runs.
    pub is_late: bool,
    /// From 1, of the specifier.
    pub line: usize,
    pub column: usize,
}

/// What was found in one module.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) requests: Vec<Request>,
    /// It asks for modules whose names it computes.
    pub(crate) is_computed: bool,
    pub(crate) uses_meta: bool,
}

pub(crate) fn scan(text: &str, program: &Program<'_>) -> Scan {
    let mut scanner = Scanner { text, functions: 0, found: Scan::default() };
    scanner.visit_program(program);
    scanner.found
}

struct Scanner<'s> {
    text: &'s str,
    /// How many functions are around, or what is evaluated as late as a function's body.
    functions: usize,
    found: Scan,
}

impl Scanner<'_> {
    fn request(&mut self, specifier: &str, span: Span, how: How) {
        let (line, column) = place(self.text, span.start as usize);
        let is_late = how == How::Dynamic || self.functions > 0;
        self.found.requests.push(Request { specifier: specifier.to_owned(), how, is_late, line, column });
    }

    fn source(&mut self, source: &StringLiteral<'_>) {
        self.request(&source.value, source.span, How::Static);
    }
}

/// The text of a string that is written out.
fn constant<'a>(expression: &'a Expression<'_>) -> Option<&'a str> {
    match expression {
        Expression::StringLiteral(literal) => Some(literal.value.as_str()),
        Expression::TemplateLiteral(template) if template.expressions.is_empty() => {
            template.quasis.first()?.value.cooked.as_ref().map(|text| text.as_str())
        }
        _ => None,
    }
}

fn is_require(callee: &Expression<'_>) -> bool {
    match callee {
        Expression::Identifier(name) => name.name == "require",
        Expression::StaticMemberExpression(member) => {
            member.property.name == "resolve"
                && is_require(&member.object)
                && matches!(member.object, Expression::Identifier(_))
        }
        _ => false,
    }
}

impl<'a> Visit<'a> for Scanner<'_> {
    fn visit_import_declaration(&mut self, it: &ImportDeclaration<'a>) {
        self.source(&it.source);
    }

    fn visit_export_from_declaration(&mut self, it: &ExportFromDeclaration<'a>) {
        self.source(&it.source);
    }

    fn visit_export_all_declaration(&mut self, it: &ExportAllDeclaration<'a>) {
        self.source(&it.source);
    }

    fn visit_import_expression(&mut self, it: &ImportExpression<'a>) {
        match constant(&it.source) {
            Some(specifier) => self.request(specifier, it.source.span(), How::Dynamic),
            None => self.found.is_computed = true,
        }
        walk::walk_import_expression(self, it);
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        if is_require(&it.callee)
            && let Some(argument) = it.arguments.first()
        {
            match argument.as_expression().and_then(constant) {
                Some(specifier) => self.request(specifier, argument.span(), How::Require),
                None => self.found.is_computed |= !matches!(argument, Argument::SpreadElement(_)),
            }
        }
        walk::walk_call_expression(self, it);
    }

    fn visit_import_meta(&mut self, _: &ImportMeta) {
        self.found.uses_meta = true;
    }

    fn visit_function(&mut self, it: &Function<'a>, flags: ScopeFlags) {
        self.functions += 1;
        walk::walk_function(self, it, flags);
        self.functions -= 1;
    }

    fn visit_arrow_function_expression(&mut self, it: &ArrowFunctionExpression<'a>) {
        self.functions += 1;
        walk::walk_arrow_function_expression(self, it);
        self.functions -= 1;
    }

    fn visit_property_definition(&mut self, it: &PropertyDefinition<'a>) {
        // A field's value is made with each object; its name, and the value of a static one, with the class.
        let functions = usize::from(!it.r#static);
        self.visit_decorators(&it.decorators);
        self.visit_property_key(&it.key);
        if let Some(value) = &it.value {
            self.functions += functions;
            self.visit_expression(value);
            self.functions -= functions;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::module;

    #[test]
    fn what_is_asked_for_in_functions_and_in_fields_of_objects_is_late() {
        let text = "require('top'); const f = () => require('arrow'); class A { [require('name')] = require('field');
            static s = require('static'); static { require('block'); } m() { require('method'); } } require('last');";
        let read = module("a.cjs", text.as_bytes(), None).unwrap();
        let late: Vec<&str> =
            read.requests.iter().filter(|request| request.is_late).map(|request| request.specifier.as_str()).collect();
        assert_eq!(late, ["arrow", "field", "method"]);
        assert_eq!(read.requests.len(), 8);
    }
}
