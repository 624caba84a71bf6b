//! Which names a file uses as values and which it declares as types alone: by name, without scopes, so that at worst an
//! import is kept that could go.

use std::collections::HashSet;

use oxc_ast::ast::{
    Class, ExportSpecifier, Function, IdentifierReference, ImportDeclaration, Program, TSEnumDeclaration,
    TSImportEqualsDeclaration, TSInterfaceDeclaration, TSInterfaceHeritage, TSModuleReference, TSNamespaceDeclaration,
    TSType, TSTypeAliasDeclaration, TSTypeAnnotation, TSTypeName, TSTypeParameterDeclaration,
    TSTypeParameterInstantiation, VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_syntax::scope::ScopeFlags;

#[derive(Debug, Default)]
pub(super) struct Names {
    /// Used where a value stands.
    used: HashSet<String>,
    types: HashSet<String>,
    /// Declared as something that there is at run time.
    values: HashSet<String>,
    /// Functions and classes, which an enum or namespace of the same name adds to.
    merged: HashSet<String>,
}

impl Names {
    pub(super) fn is_used(&self, name: &str) -> bool {
        self.used.contains(name)
    }

    /// Declared in this file, as a type and nothing else.
    pub(super) fn is_only_type(&self, name: &str) -> bool {
        self.types.contains(name) && !self.values.contains(name)
    }

    pub(super) fn is_declared_otherwise(&self, name: &str) -> bool {
        self.merged.contains(name)
    }
}

pub(super) fn of(program: &Program<'_>) -> Names {
    let mut collector = Collector { names: Names::default() };
    collector.visit_program(program);
    collector.names
}

struct Collector {
    names: Names,
}

impl<'a> Visit<'a> for Collector {
    fn visit_identifier_reference(&mut self, it: &IdentifierReference<'a>) {
        self.names.used.insert(it.name.to_string());
    }

    fn visit_export_specifier(&mut self, it: &ExportSpecifier<'a>) {
        if it.export_kind.is_value() {
            self.names.used.insert(it.local.name().to_string());
        }
    }

    fn visit_import_declaration(&mut self, it: &ImportDeclaration<'a>) {
        for specifier in it.specifiers.iter().flatten() {
            self.names.values.insert(specifier.name().to_string());
        }
    }

    fn visit_variable_declarator(&mut self, it: &VariableDeclarator<'a>) {
        for name in it.id.get_binding_identifiers() {
            self.names.values.insert(name.name.to_string());
        }
        walk::walk_variable_declarator(self, it);
    }

    fn visit_function(&mut self, it: &Function<'a>, flags: ScopeFlags) {
        if let Some(id) = it.id.as_ref().filter(|_| it.body.is_some()) {
            self.names.values.insert(id.name.to_string());
            self.names.merged.insert(id.name.to_string());
        }
        walk::walk_function(self, it, flags);
    }

    fn visit_class(&mut self, it: &Class<'a>) {
        if let Some(id) = &it.id {
            self.names.values.insert(id.name.to_string());
            self.names.merged.insert(id.name.to_string());
        }
        // What it implements is a type; what it extends, a value.
        for decorator in &it.decorators {
            self.visit_decorator(decorator);
        }
        if let Some(heritage) = &it.heritage {
            self.visit_expression(&heritage.expression);
        }
        self.visit_class_body(&it.body);
    }

    fn visit_ts_enum_declaration(&mut self, it: &TSEnumDeclaration<'a>) {
        self.names.values.insert(it.id.name.to_string());
        walk::walk_ts_enum_declaration(self, it);
    }

    fn visit_ts_namespace_declaration(&mut self, it: &TSNamespaceDeclaration<'a>) {
        self.names.values.insert(it.id.name.to_string());
        walk::walk_ts_namespace_declaration(self, it);
    }

    fn visit_ts_import_equals_declaration(&mut self, it: &TSImportEqualsDeclaration<'a>) {
        self.names.values.insert(it.id.name.to_string());
        let mut name = match &it.module_reference {
            TSModuleReference::IdentifierReference(name) => return self.visit_identifier_reference(name),
            TSModuleReference::QualifiedName(name) => &name.left,
            TSModuleReference::ExternalModuleReference(_) => return,
        };
        loop {
            match name {
                TSTypeName::IdentifierReference(first) => return self.visit_identifier_reference(first),
                TSTypeName::QualifiedName(inner) => name = &inner.left,
                TSTypeName::ThisExpression(_) => return,
            }
        }
    }

    fn visit_ts_type_alias_declaration(&mut self, it: &TSTypeAliasDeclaration<'a>) {
        self.names.types.insert(it.id.name.to_string());
    }

    fn visit_ts_interface_declaration(&mut self, it: &TSInterfaceDeclaration<'a>) {
        self.names.types.insert(it.id.name.to_string());
    }

    fn visit_ts_interface_heritage(&mut self, _: &TSInterfaceHeritage<'a>) {}
    fn visit_ts_type(&mut self, _: &TSType<'a>) {}
    fn visit_ts_type_annotation(&mut self, _: &TSTypeAnnotation<'a>) {}
    fn visit_ts_type_parameter_declaration(&mut self, _: &TSTypeParameterDeclaration<'a>) {}
    fn visit_ts_type_parameter_instantiation(&mut self, _: &TSTypeParameterInstantiation<'a>) {}
}
