//! The declaration of commands.

/// Declares the commands of a chapter:
///
/// ```text
/// commands! {
///     /// TPM2_PCR_Extend (Part 3, 22.2).
///     PcrExtend = 0x182 [nv] {
///         handles { pcr_handle: DhPcrOrNull as User }
///         parameters { digests: DigestValues }
///         response PcrExtendResponse [] {}
///     }
/// }
/// ```
///
/// In brackets stand the names of the [`Flags`](crate::command::Flags) that are
/// set, and after the response's name the name of its handle, if it has one.
/// The macro makes `struct PcrExtend` and `struct PcrExtendResponse` (handles
/// first, as [`Handle`](crate::wire::Handle)) and the list `COMMANDS` of the
/// module; the chapter implements [`Action`](crate::command::Action).
#[macro_export]
#[doc(hidden)]
macro_rules! commands {
    ($(
        $(#[$meta:meta])*
        $name:ident = $code:literal [$($flag:ident)*] {
            handles { $($h:ident : $hty:ident $(as $role:ident)?),* $(,)? }
            parameters { $($p:ident : $pty:ty),* $(,)? }
            response $rname:ident [$($rh:ident)?] { $($r:ident : $rty:ty),* $(,)? }
        }
    )*) => {
        $(
            $(#[$meta])*
            #[allow(missing_docs)]
            #[derive(Clone, Debug)]
            pub struct $name {
                $(pub $h: $crate::wire::Handle,)*
                $(pub $p: $pty,)*
            }

            #[doc = concat!("The response of [`", stringify!($name), "`](struct@", stringify!($name), ").")]
            #[allow(missing_docs)]
            #[derive(Clone, Debug)]
            pub struct $rname {
                $(pub $rh: $crate::wire::Handle,)?
                $(pub $r: $rty,)*
            }

            impl $name {
                fn run_raw(
                    ctx: &mut $crate::context::Context<'_>,
                    handles: &[$crate::wire::Handle],
                    parameters: &[u8],
                    output: &mut $crate::command::Output,
                ) -> $crate::rc::Result<()> {
                    let mut reader = $crate::wire::Reader::new(parameters);
                    let mut handles = handles.iter().copied();
                    let mut number = 0usize;
                    let _ = (&mut handles, &mut number, &mut reader);
                    let command = $name {
                        $($h: handles.next().ok_or($crate::rc::Rc::FAILURE)?,)*
                        $($p: {
                            number += 1;
                            <$pty as $crate::wire::Unmarshal>::unmarshal(&mut reader)
                                .map_err(|rc| rc.parameter(number))?
                        },)*
                    };
                    if !reader.is_empty() {
                        return Err($crate::rc::Rc::SIZE);
                    }
                    let response: $rname = $crate::command::Action::run(command, ctx)?;
                    $(output.handle = Some(response.$rh);)?
                    let _ = (&output, &response);
                    $($crate::wire::Marshal::marshal(&response.$r, &mut output.parameters);)*
                    Ok(())
                }
            }
        )*

        /// The commands of this chapter.
        pub const COMMANDS: &[$crate::command::CommandSpec] = &[$(
            $crate::command::CommandSpec {
                code: $code,
                name: stringify!($name),
                handles: &[$($crate::command::HandleSpec {
                    name: stringify!($h),
                    check: <$crate::wire::$hty as $crate::wire::HandleKind>::check,
                    role: $crate::commands!(@role $($role)?),
                    #[cfg(any(test, feature = "sample"))]
                    kind: stringify!($hty),
                },)*],
                parameters: &[$($crate::command::ParameterSpec {
                    name: stringify!($p),
                    sized: <$pty as $crate::wire::Unmarshal>::SIZED_IN,
                    #[cfg(any(test, feature = "sample"))]
                    sample: |g, out| {
                        let value = <$pty as $crate::wire::sample::Sample>::sample(g);
                        $crate::wire::Marshal::marshal(&value, out);
                    },
                },)*],
                response_handle: $crate::commands!(@has $($rh)?),
                response_parameters: &[$($crate::command::ParameterSpec {
                    name: stringify!($r),
                    sized: <$rty as $crate::wire::Marshal>::SIZED_OUT,
                    #[cfg(any(test, feature = "sample"))]
                    sample: |_, _| {},
                },)*],
                flags: $crate::command::Flags {
                    $($flag: true,)*
                    ..$crate::command::Flags {
                        nv: false,
                        extensive: false,
                        flushed: false,
                        no_sessions: false,
                        before_startup: false,
                        in_failure: false,
                        nv_write: false,
                        nv_read: false,
                        no_audit: false,
                        pp: false,
                        pp_always: false,
                    }
                },
                run: $name::run_raw,
            },
        )*];
    };
    (@role) => { None };
    (@role $role:ident) => { Some($crate::command::Role::$role) };
    (@has) => { false };
    (@has $rh:ident) => { true };
}
