//! Structures whose wire format is their members in order.

/// Declares a structure together with its wire format: the members in order.
#[macro_export]
#[doc(hidden)]
macro_rules! wire_struct {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident : $ty:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }

        impl $crate::wire::Marshal for $name {
            fn marshal(&self, out: &mut $crate::wire::Writer) {
                let _ = &out;
                $($crate::wire::Marshal::marshal(&self.$field, out);)*
            }
        }

        impl $crate::wire::Unmarshal for $name {
            fn unmarshal(r: &mut $crate::wire::Reader<'_>) -> $crate::rc::Result<Self> {
                let _ = &r;
                Ok($name { $($field: $crate::wire::Unmarshal::unmarshal(r)?,)* })
            }
        }

        #[cfg(any(test, feature = "sample"))]
        impl $crate::wire::sample::Sample for $name {
            fn sample(g: &mut $crate::wire::sample::Gen) -> Self {
                let _ = &g;
                $name { $($field: $crate::wire::sample::Sample::sample(g),)* }
            }
        }
    )*};
}
