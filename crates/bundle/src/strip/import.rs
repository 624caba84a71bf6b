//! Imports and exports: what names types only is dropped.

use oxc_ast::ast::{
    Declaration, ExportDeclaration, ExportFromDeclaration, ExportNamedDeclaration, ImportDeclaration,
    ImportDeclarationSpecifier, TSImportEqualsDeclaration,
};
use oxc_span::{GetSpan, Span};

use super::edit::skip_space;
use super::names::{Names, first};
use super::{ExportedBy, Stripper};

/// `import x = …` that no value uses. What is exported others may use, unless it leads to what is a type in this file.
pub(super) fn is_only_type(it: &TSImportEqualsDeclaration<'_>, names: &Names, by: ExportedBy<'_>) -> bool {
    if it.import_kind.is_type() {
        return true;
    }
    match by {
        ExportedBy::Nobody => !names.is_used(&it.id.name),
        _ => first(&it.module_reference).is_some_and(|root| names.is_only_type(&root.name)),
    }
}

impl Stripper<'_> {
    pub(super) fn import(&mut self, it: &ImportDeclaration<'_>) {
        if it.import_kind.is_type() {
            return self.drop_statement(it.span);
        }
        let Some(specifiers) = it.specifiers.as_ref().filter(|specifiers| !specifiers.is_empty()) else { return };
        let is_dropped = |specifier: &ImportDeclarationSpecifier<'_>| {
            let is_type = match specifier {
                ImportDeclarationSpecifier::ImportSpecifier(it) => it.import_kind.is_type(),
                _ => false,
            };
            is_type || !self.names.is_used(&specifier.name())
        };
        let dropped: Vec<&ImportDeclarationSpecifier<'_>> = specifiers.iter().filter(|one| is_dropped(one)).collect();
        if dropped.len() == specifiers.len() {
            return self.drop_statement(it.span);
        }
        for specifier in dropped {
            if matches!(specifier, ImportDeclarationSpecifier::ImportNamespaceSpecifier(_)) {
                // Only behind a default import: `import d, * as n` loses its comma with it.
                self.drop_mark(specifiers[0].span().end, ',');
                self.edits.blank(specifier.span().start, specifier.span().end);
            } else {
                self.drop_listed(specifier.span());
            }
        }
    }

    pub(super) fn import_equals(&mut self, it: &TSImportEqualsDeclaration<'_>) {
        self.edits.replace(it.span.start, it.span.start + "import".len() as u32, "const ");
    }

    pub(super) fn export_declaration(&mut self, it: &ExportDeclaration<'_>) {
        let name = match &it.declaration {
            Declaration::TSEnumDeclaration(it) => Some(&it.id.name),
            Declaration::TSNamespaceDeclaration(it) => Some(&it.id.name),
            _ => None,
        };
        // It adds to what is exported already.
        let is_addition = name.is_some_and(|name| self.is_declared(name));
        let is_dropped = self.declaration(&it.declaration, it.span, ExportedBy::Module);
        if is_addition && !is_dropped {
            self.edits.blank(it.span.start, it.declaration.span().start);
        }
    }

    pub(super) fn export_named(&mut self, it: &ExportNamedDeclaration<'_>) {
        if it.export_kind.is_type() {
            return self.drop_statement(it.span);
        }
        for specifier in &it.specifiers {
            if specifier.export_kind.is_type() || self.names.is_only_type(&specifier.local.name()) {
                self.drop_listed(specifier.span);
            }
        }
    }

    pub(super) fn export_from(&mut self, it: &ExportFromDeclaration<'_>) {
        let all_types = !it.specifiers.is_empty() && it.specifiers.iter().all(|one| one.export_kind.is_type());
        if it.export_kind.is_type() || all_types {
            return self.drop_statement(it.span);
        }
        for specifier in it.specifiers.iter().filter(|one| one.export_kind.is_type()) {
            self.drop_listed(specifier.span);
        }
    }

    /// One of a list, with the comma behind it.
    fn drop_listed(&mut self, span: Span) {
        self.edits.blank(span.start, span.end);
        self.drop_mark(skip_space(self.text, span.end as usize) as u32, ',');
    }
}
