//! Makes generated structs extensible: adding a field does not break code that uses them.
//!
//! A new optional property is a compatible change of a document, so it must also be compatible for users of the client.

use syn::{
    Fields, File, GenericArgument, ImplItem, ImplItemFn, Item, PathArguments, Type, TypeParamBound, WherePredicate,
};
use syn::{ItemMod, parse_quote};

/// Makes structs constructible only by their builders, and makes setters accept lists of builders.
pub(crate) fn make_extensible(client: &mut File) {
    let Some(types) = module(&mut client.items, "types") else { return };
    for item in &mut *types {
        if let Item::Struct(item) = item
            && let Fields::Named(_) = item.fields
        {
            item.attrs.push(parse_quote!(#[non_exhaustive]));
        }
    }
    for item in module(types, "builder").into_iter().flatten() {
        let Item::Impl(builder) = item else { continue };
        for setter in &mut builder.items {
            if let ImplItem::Fn(setter) = setter
                && let Some(element) = element(setter)
            {
                *setter = of_list(setter, &element);
            }
        }
    }
}

fn module<'a>(items: &'a mut [Item], name: &str) -> Option<&'a mut Vec<Item>> {
    let modules = items.iter_mut().filter_map(|item| if let Item::Mod(module) = item { Some(module) } else { None });
    let named: Option<&mut ItemMod> = modules.into_iter().find(|module| module.ident == name);
    named?.content.as_mut().map(|(_, items)| items)
}

/// Returns a setter that converts each element, so that `items([Item::builder()…])` works as for nested structs.
fn of_list(setter: &ImplItemFn, element: &Type) -> ImplItemFn {
    let (name, docs) = (&setter.sig.ident, &setter.attrs);
    let problem = format!("error converting supplied value for {name}: {{e}}");
    parse_quote! {
        #(#docs)*
        pub fn #name<T>(mut self, values: impl ::std::iter::IntoIterator<Item = T>) -> Self
        where
            T: ::std::convert::TryInto<#element>,
            T::Error: ::std::fmt::Display,
        {
            let values = values.into_iter().map(T::try_into).collect::<::std::result::Result<_, _>>();
            self.#name = values.map_err(|e| format!(#problem));
            self
        }
    }
}

/// Returns `E` for a setter that accepts any `T: TryInto<Vec<E>>`.
fn element(setter: &ImplItemFn) -> Option<Type> {
    let WherePredicate::Type(predicate) = setter.sig.generics.where_clause.as_ref()?.predicates.first()? else {
        return None;
    };
    let TypeParamBound::Trait(bound) = predicate.bounds.first()? else { return None };
    let Type::Path(list) = argument(&bound.path, "TryInto")? else { return None };
    argument(&list.path, "Vec").cloned()
}

/// Returns `T` of `name<T>`.
fn argument<'a>(path: &'a syn::Path, name: &str) -> Option<&'a Type> {
    let last = path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(argument) => Some(argument),
        _ => None,
    }
}
