//! Imports and exports: what names types only is dropped.

use oxc_ast::ast::{
    ExportDeclaration, ExportFromDeclaration, ExportNamedDeclaration, ImportDeclaration, ImportDeclarationSpecifier,
    TSImportEqualsDeclaration,
};
use oxc_span::{GetSpan, Span};

use super::Stripper;
use super::edit::skip_space;
use super::names::Names;

/// `import x = …` that no value uses.
pub(super) fn is_only_type(it: &TSImportEqualsDeclaration<'_>, names: &Names) -> bool {
    it.import_kind.is_type() || !names.is_used(&it.id.name)
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
                let before = self.text[..specifier.span().start as usize].trim_end();
                self.edits.blank(before.len() as u32 - 1, specifier.span().end);
            } else {
                self.drop_listed(specifier.span());
            }
        }
    }

    pub(super) fn import_equals(&mut self, it: &TSImportEqualsDeclaration<'_>) {
        self.edits.replace(it.span.start, it.span.start + "import".len() as u32, "const ");
    }

    pub(super) fn export_declaration(&mut self, it: &ExportDeclaration<'_>) {
        self.declaration(&it.declaration, it.span);
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
