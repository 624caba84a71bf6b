//! TypeScript to JavaScript by blanking out what is only for the type checker, so that every token that is left stands
//! where its author wrote it and no source map is needed. What has a meaning at run time (enums, namespaces, parameter
//! properties, `import =`) is rewritten on its own lines; decorators are refused.
//!
//! An import that no value uses is dropped, as TypeScript does it: it may name a type.

mod class;
mod edit;
mod enumeration;
mod import;
mod names;
mod namespace;

use std::collections::HashSet;

use oxc_allocator::ArenaVec;
use oxc_ast::ast::{
    ArrowFunctionExpression, Declaration, Decorator, ExportDefaultDeclarationKind, FormalParameter, Program, Statement,
    TSAsExpression, TSNonNullExpression, TSSatisfiesExpression, TSThisParameter, TSTypeAnnotation, TSTypeAssertion,
    TSTypeParameterDeclaration, TSTypeParameterInstantiation, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_span::{GetSpan, Span};

use crate::fault::Fault;
use edit::Edits;
use names::Names;

/// The program as JavaScript. Errors: what has no meaning without a compiler.
pub(crate) fn strip(key: &str, text: &str, program: &Program<'_>) -> Result<String, Fault> {
    let names = names::of(program);
    let mut stripper = Stripper { key, text, names, edits: Edits::new(text), fault: None, scopes: Vec::new() };
    stripper.visit_program(program);
    match stripper.fault {
        Some(fault) => Err(fault),
        None => Ok(stripper.edits.apply()),
    }
}

struct Stripper<'s> {
    key: &'s str,
    text: &'s str,
    names: Names,
    edits: Edits<'s>,
    /// The first thing that cannot be done.
    fault: Option<Fault>,
    /// Per list of statements around, outermost first: the names of what an enum or a namespace of that name adds to.
    scopes: Vec<HashSet<String>>,
}

/// Who hands a declaration on.
#[derive(Debug, Clone, Copy)]
enum ExportedBy<'n> {
    Nobody,
    Module,
    /// The namespace of that name.
    Namespace(&'n str),
}

impl Stripper<'_> {
    fn refuse(&mut self, span: Span, message: &str) {
        if self.fault.is_none() {
            self.fault = Some(Fault::at(self.key, self.text, span.start as usize, message));
        }
    }

    fn slice(&self, from: u32, to: u32) -> &str {
        &self.text[from as usize..to as usize]
    }

    /// A statement, or a member of a class, that is only types. The semicolon keeps the one before it from running into
    /// the one behind.
    fn drop_statement(&mut self, span: Span) {
        self.edits.blank(span.start, span.end);
        self.edits.mark(span.start, ';');
    }

    /// Where the last character before `end` begins.
    fn last_before(&self, end: u32) -> u32 {
        self.text[..end as usize].char_indices().next_back().map_or(0, |(at, _)| at as u32)
    }

    /// Blanks `mark` if it is what comes next behind `from`.
    fn drop_mark(&mut self, from: u32, mark: char) {
        let at = edit::skip_space(self.text, from as usize);
        if self.text[at..].starts_with(mark) {
            self.edits.blank(at as u32, (at + mark.len_utf8()) as u32);
        }
    }

    /// Whether it was only for the type checker; then its statement, which ends at `statement`, is gone.
    fn declaration<'a>(&mut self, declaration: &Declaration<'a>, statement: Span, by: ExportedBy<'_>) -> bool {
        let is_dropped = match declaration {
            Declaration::TSTypeAliasDeclaration(_)
            | Declaration::TSInterfaceDeclaration(_)
            | Declaration::TSExternalModuleDeclaration(_)
            | Declaration::TSGlobalDeclaration(_) => true,
            Declaration::VariableDeclaration(it) => it.declare,
            Declaration::FunctionDeclaration(it) => it.declare || it.body.is_none(),
            Declaration::ClassDeclaration(it) => it.declare,
            Declaration::TSEnumDeclaration(it) => it.declare,
            Declaration::TSNamespaceDeclaration(it) => it.declare || !namespace::has_values(it),
            Declaration::TSImportEqualsDeclaration(it) => import::is_only_type(it, &self.names, by),
        };
        if is_dropped {
            self.drop_statement(statement);
            return true;
        }
        match declaration {
            Declaration::TSEnumDeclaration(it) => self.enumeration(it, by),
            Declaration::TSNamespaceDeclaration(it) => self.namespace(it, by),
            Declaration::TSImportEqualsDeclaration(it) => self.import_equals(it),
            other => walk::walk_declaration(self, other),
        }
        false
    }
}

/// Whether a line ends between the two.
fn breaks(text: &str) -> bool {
    text.contains(['\n', '\r', '\u{2028}', '\u{2029}'])
}

impl<'a> Visit<'a> for Stripper<'_> {
    fn visit_statements(&mut self, it: &ArenaVec<'a, Statement<'a>>) {
        self.scopes.push(names::functions_and_classes(it));
        walk::walk_statements(self, it);
        self.scopes.pop();
    }

    fn visit_statement(&mut self, it: &Statement<'a>) {
        if let Some(declaration) = it.as_declaration() {
            self.declaration(declaration, it.span(), ExportedBy::Nobody);
            return;
        }
        match it {
            Statement::ImportDeclaration(it) => self.import(it),
            Statement::ExportDeclaration(it) => self.export_declaration(it),
            Statement::ExportNamedDeclaration(it) => self.export_named(it),
            Statement::ExportFromDeclaration(it) => self.export_from(it),
            Statement::ExportAllDeclaration(it) if it.export_kind.is_type() => self.drop_statement(it.span),
            Statement::TSNamespaceExportDeclaration(it) => self.drop_statement(it.span),
            Statement::TSExportAssignment(it) => {
                self.edits.replace(it.span.start, it.expression.span().start, "module.exports = ");
                self.visit_expression(&it.expression);
            }
            Statement::ExportDefaultDeclaration(default) => {
                let is_dropped = match &default.declaration {
                    ExportDefaultDeclarationKind::TSInterfaceDeclaration(_) => true,
                    ExportDefaultDeclarationKind::FunctionDeclaration(it) => it.body.is_none(),
                    ExportDefaultDeclarationKind::Identifier(it) => self.names.is_only_type(&it.name),
                    _ => false,
                };
                if is_dropped { self.drop_statement(default.span) } else { walk::walk_statement(self, it) }
            }
            _ => walk::walk_statement(self, it),
        }
    }

    fn visit_ts_type_annotation(&mut self, it: &TSTypeAnnotation<'a>) {
        self.edits.blank(it.span.start, it.span.end);
    }

    fn visit_ts_type_parameter_declaration(&mut self, it: &TSTypeParameterDeclaration<'a>) {
        self.edits.blank(it.span.start, it.span.end);
    }

    fn visit_ts_type_parameter_instantiation(&mut self, it: &TSTypeParameterInstantiation<'a>) {
        self.edits.blank(it.span.start, it.span.end);
    }

    fn visit_ts_this_parameter(&mut self, it: &TSThisParameter<'a>) {
        self.edits.blank(it.span.start, it.span.end);
        self.drop_mark(it.span.end, ',');
    }

    fn visit_ts_as_expression(&mut self, it: &TSAsExpression<'a>) {
        self.visit_expression(&it.expression);
        self.drop_tail(it.expression.span().end, it.span.end);
    }

    fn visit_ts_satisfies_expression(&mut self, it: &TSSatisfiesExpression<'a>) {
        self.visit_expression(&it.expression);
        self.drop_tail(it.expression.span().end, it.span.end);
    }

    fn visit_ts_non_null_expression(&mut self, it: &TSNonNullExpression<'a>) {
        self.visit_expression(&it.expression);
        self.edits.blank(it.expression.span().end, it.span.end);
    }

    fn visit_ts_type_assertion(&mut self, it: &TSTypeAssertion<'a>) {
        let value = it.expression.span().start;
        let before = self.text[..it.span.start as usize].trim_end();
        let ends_with_the_line = ["return", "throw", "yield"].iter().any(|word| before.ends_with(word));
        if ends_with_the_line && breaks(self.slice(it.span.start, value)) {
            self.refuse(
                it.span,
                "a type over several lines parts the value from the word before it: write `value as Type`",
            );
        }
        self.edits.blank(it.span.start, value);
        self.visit_expression(&it.expression);
    }

    fn visit_variable_declarator(&mut self, it: &VariableDeclarator<'a>) {
        if it.definite {
            self.drop_mark(it.id.span().end, '!');
        }
        walk::walk_variable_declarator(self, it);
    }

    fn visit_formal_parameter(&mut self, it: &FormalParameter<'a>) {
        if it.optional {
            self.drop_mark(it.pattern.span().end, '?');
        }
        walk::walk_formal_parameter(self, it);
    }

    fn visit_arrow_function_expression(&mut self, it: &ArrowFunctionExpression<'a>) {
        walk::walk_arrow_function_expression(self, it);
        let params = it.params.span;
        if let Some(types) = &it.type_parameters
            && breaks(self.slice(types.span.start, params.start))
        {
            // No line may end behind `async`, nor behind a `return` before it: the bracket moves to the types' start.
            self.edits.blank(params.start, params.start + 1);
            self.edits.mark(types.span.start, '(');
        }
        if let Some(result) = &it.return_type
            && breaks(self.slice(params.end, result.span.end))
        {
            // No line may end between `)` and `=>`: the bracket moves to the type's end.
            self.edits.blank(params.end - 1, params.end);
            self.edits.mark(self.last_before(result.span.end), ')');
        }
    }

    fn visit_decorator(&mut self, it: &Decorator<'a>) {
        self.refuse(it.span, "decorators are not supported: compile them to JavaScript first");
    }

    fn visit_class(&mut self, it: &oxc_ast::ast::Class<'a>) {
        self.class(it);
    }

    fn visit_method_definition(&mut self, it: &oxc_ast::ast::MethodDefinition<'a>) {
        self.method(it);
    }

    fn visit_property_definition(&mut self, it: &oxc_ast::ast::PropertyDefinition<'a>) {
        self.property(it);
    }

    fn visit_accessor_property(&mut self, it: &oxc_ast::ast::AccessorProperty<'a>) {
        self.refuse(it.span, "`accessor` fields are not supported: compile them to JavaScript first");
    }

    fn visit_ts_index_signature(&mut self, it: &oxc_ast::ast::TSIndexSignature<'a>) {
        self.drop_statement(it.span);
    }
}

impl Stripper<'_> {
    /// ` as T` and ` satisfies T`. Where a line ended behind it and the next begins with a bracket, the type was what kept
    /// the two apart.
    fn drop_tail(&mut self, from: u32, to: u32) {
        self.edits.blank(from, to);
        let next = edit::skip_space(self.text, to as usize);
        if breaks(&self.text[to as usize..next]) && self.text[next..].starts_with(['(', '[', '`']) {
            self.edits.mark(from, ';');
        }
    }
}

#[cfg(test)]
mod tests;
