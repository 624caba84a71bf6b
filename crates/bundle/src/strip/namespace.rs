//! `namespace` as the function that TypeScript makes of it. What it exports is kept under its name inside, too, so only
//! what never changes can be exported: constants, functions, classes, enums.

use std::collections::HashSet;

use oxc_ast::ast::{
    Declaration, Statement, TSNamespaceDeclaration, TSNamespaceDeclarationBody, VariableDeclarationKind,
};
use oxc_ast_visit::Visit;
use oxc_span::GetSpan;

use super::names::functions_and_classes;
use super::{ExportedBy, Stripper};

/// Whether there is anything of it at run time.
pub(super) fn has_values(it: &TSNamespaceDeclaration<'_>) -> bool {
    match &it.body {
        TSNamespaceDeclarationBody::TSNamespaceDeclaration(inner) => has_values(inner),
        TSNamespaceDeclarationBody::TSModuleBlock(block) => block.body.iter().any(|statement| match statement {
            Statement::ExportDeclaration(it) => is_value(&it.declaration),
            other => other.as_declaration().is_none_or(is_value),
        }),
    }
}

fn is_value(declaration: &Declaration<'_>) -> bool {
    match declaration {
        Declaration::TSTypeAliasDeclaration(_) | Declaration::TSInterfaceDeclaration(_) => false,
        Declaration::TSNamespaceDeclaration(it) => !it.declare && has_values(it),
        Declaration::VariableDeclaration(it) => !it.declare,
        Declaration::FunctionDeclaration(it) => it.body.is_some(),
        Declaration::ClassDeclaration(it) => !it.declare,
        Declaration::TSEnumDeclaration(it) => !it.declare,
        _ => true,
    }
}

impl Stripper<'_> {
    pub(super) fn namespace(&mut self, it: &TSNamespaceDeclaration<'_>, by: ExportedBy<'_>) {
        let name = it.id.name.to_string();
        let opening = self.opening(&name, by);
        let own = format!("{name}||({name}={{}})");
        match &it.body {
            TSNamespaceDeclarationBody::TSNamespaceDeclaration(inner) => {
                // `namespace A.B`: B is exported by A.
                self.edits.replace(it.span.start, inner.span.start, opening);
                self.scopes.push(HashSet::new());
                self.namespace(inner, ExportedBy::Namespace(&name));
                self.scopes.pop();
                let exported = &inner.id.name;
                self.edits.insert(it.span.end, format!("{name}.{exported}={exported};}})({own});"));
            }
            TSNamespaceDeclarationBody::TSModuleBlock(block) => {
                self.edits.replace(it.span.start, block.span.start + 1, opening);
                self.scopes.push(functions_and_classes(&block.body));
                for statement in &block.body {
                    self.in_namespace(&name, statement);
                }
                self.scopes.pop();
                self.edits.replace(block.span.end - 1, block.span.end, format!("}})({own});"));
            }
        }
    }

    fn in_namespace(&mut self, name: &str, statement: &Statement<'_>) {
        let Statement::ExportDeclaration(export) = statement else {
            if matches!(statement, Statement::ExportNamedDeclaration(_) | Statement::ImportDeclaration(_)) {
                self.refuse(statement.span(), "a namespace can export declarations only");
            }
            return self.visit_statement(statement);
        };
        if self.declaration(&export.declaration, export.span, ExportedBy::Namespace(name)) {
            return;
        }
        self.edits.blank(export.span.start, export.declaration.span().start);
        let mut assigned = String::from(";");
        let mut assign = |exported: &str| assigned.push_str(&format!("{name}.{exported}={exported};"));
        match &export.declaration {
            Declaration::VariableDeclaration(it) if it.kind == VariableDeclarationKind::Const => {
                for id in it.declarations.iter().flat_map(|one| one.id.get_binding_identifiers()) {
                    assign(&id.name);
                }
            }
            Declaration::FunctionDeclaration(it) => it.id.iter().for_each(|id| assign(&id.name)),
            Declaration::ClassDeclaration(it) => it.id.iter().for_each(|id| assign(&id.name)),
            Declaration::TSEnumDeclaration(it) => assign(&it.id.name),
            Declaration::TSNamespaceDeclaration(it) => assign(&it.id.name),
            Declaration::TSImportEqualsDeclaration(it) => assign(&it.id.name),
            other => {
                return self
                    .refuse(other.span(), "a namespace can export const, function, class, enum and namespace only");
            }
        }
        self.edits.insert(export.span.end, assigned);
    }
}
