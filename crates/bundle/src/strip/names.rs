//! Which names a file uses as values and which it declares as types alone: by name, without scopes, so that at worst an
//! import is kept that could go. And what of a list of statements an enum or a namespace adds to.

use std::collections::HashSet;

use oxc_ast::ast::{
    Class, Declaration, ExportDefaultDeclarationKind, ExportSpecifier, Function, IdentifierReference,
    ImportDeclaration, Program, Statement, TSEnumDeclaration, TSImportEqualsDeclaration, TSInterfaceDeclaration,
    TSInterfaceHeritage, TSModuleReference, TSNamespaceDeclaration, TSNamespaceDeclarationBody, TSType,
    TSTypeAliasDeclaration, TSTypeAnnotation, TSTypeName, TSTypeParameterDeclaration, TSTypeParameterInstantiation,
    VariableDeclarator,
};
use oxc_ast_visit::{Visit, walk};
use oxc_syntax::scope::ScopeFlags;

use super::namespace;

#[derive(Debug, Default)]
pub(super) struct Names {
    /// Used where a value stands.
    used: HashSet<String>,
    types: HashSet<String>,
    /// Declared as something that there is at run time.
    values: HashSet<String>,
}

impl Names {
    pub(super) fn is_used(&self, name: &str) -> bool {
        self.used.contains(name)
    }

    /// Declared in this file, as a type and nothing else.
    pub(super) fn is_only_type(&self, name: &str) -> bool {
        self.types.contains(name) && !self.values.contains(name)
    }
}

/// The names of the functions and classes that are declared in a list of statements: an enum or a namespace of the same
/// name in there adds to them.
pub(super) fn functions_and_classes(statements: &[Statement<'_>]) -> HashSet<String> {
    let mut names = HashSet::new();
    for statement in statements {
        let (function, class) = match statement {
            Statement::FunctionDeclaration(it) => (Some(it), None),
            Statement::ClassDeclaration(it) => (None, Some(it)),
            Statement::ExportDeclaration(export) => match &export.declaration {
                Declaration::FunctionDeclaration(it) => (Some(it), None),
                Declaration::ClassDeclaration(it) => (None, Some(it)),
                _ => continue,
            },
            Statement::ExportDefaultDeclaration(export) => match &export.declaration {
                ExportDefaultDeclarationKind::FunctionDeclaration(it) => (Some(it), None),
                ExportDefaultDeclarationKind::ClassDeclaration(it) => (None, Some(it)),
                _ => continue,
            },
            _ => continue,
        };
        let function = function.filter(|it| it.body.is_some()).and_then(|it| it.id.as_ref());
        let class = class.filter(|it| !it.declare).and_then(|it| it.id.as_ref());
        names.extend(function.or(class).map(|id| id.name.to_string()));
    }
    names
}

/// `A` of `A.B.C`; of `require('x')` none.
pub(super) fn first<'b, 'a>(reference: &'b TSModuleReference<'a>) -> Option<&'b IdentifierReference<'a>> {
    let mut name = match reference {
        TSModuleReference::IdentifierReference(only) => return Some(&**only),
        TSModuleReference::QualifiedName(name) => &name.left,
        TSModuleReference::ExternalModuleReference(_) => return None,
    };
    loop {
        match name {
            TSTypeName::IdentifierReference(root) => return Some(&**root),
            TSTypeName::QualifiedName(inner) => name = &inner.left,
            TSTypeName::ThisExpression(_) => return None,
        }
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
        }
        walk::walk_function(self, it, flags);
    }

    fn visit_class(&mut self, it: &Class<'a>) {
        if let Some(id) = &it.id {
            self.names.values.insert(id.name.to_string());
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
        let is_value = it.declare || namespace::has_values(it);
        let names = if is_value { &mut self.names.values } else { &mut self.names.types };
        names.insert(it.id.name.to_string());
        // Of `namespace A.B` the file has `A` alone by its name.
        let mut body = &it.body;
        while let TSNamespaceDeclarationBody::TSNamespaceDeclaration(inner) = body {
            body = &inner.body;
        }
        self.visit_ts_namespace_declaration_body(body);
    }

    fn visit_ts_import_equals_declaration(&mut self, it: &TSImportEqualsDeclaration<'a>) {
        self.names.values.insert(it.id.name.to_string());
        if let Some(name) = first(&it.module_reference) {
            self.visit_identifier_reference(name);
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
