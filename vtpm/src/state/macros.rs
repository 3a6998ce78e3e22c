//! State structures: members in order, and a default.

/// Declares a structure of the state together with its stored format.
#[macro_export]
#[doc(hidden)]
macro_rules! state_struct {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident : $ty:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }

        impl $crate::wire::Marshal for $name {
            fn marshal(&self, out: &mut $crate::wire::Writer) {
                $($crate::wire::Marshal::marshal(&self.$field, out);)*
            }
        }

        impl $crate::wire::Unmarshal for $name {
            fn unmarshal(r: &mut $crate::wire::Reader<'_>) -> $crate::rc::Result<Self> {
                Ok($name { $($field: $crate::wire::Unmarshal::unmarshal(r)?,)* })
            }
        }
    )*};
}
