//! Duplication (Part 3, 13).

use crate::command::Action;
use crate::context::Context;
use crate::object::protect::{self, Inner, Wrapper};
use crate::object::secret::{self, label};
use crate::object::validate::{self, Blame};
use crate::object::{check, name};
use crate::rc::{Rc, Result};
use crate::wire::{
    Handle, ObjectAttributes as A, ObjectType, Public, SymDefObject, Tpm2bData,
    Tpm2bEncryptedSecret, Tpm2bName, Tpm2bPrivate, Tpm2bPublic,
};
use alloc::vec::Vec;
use zeroize::Zeroizing;

crate::commands! {
    /// TPM2_Duplicate (Part 3, 13.1).
    Duplicate = 0x14B [] {
        handles { object_handle: DhObject as Dup, new_parent_handle: DhObjectOrNull }
        parameters { encryption_key_in: Tpm2bData, symmetric_alg: SymDefObject }
        response DuplicateResponse [] {
            encryption_key_out: Tpm2bData,
            duplicate: Tpm2bPrivate,
            out_sym_seed: Tpm2bEncryptedSecret,
        }
    }

    /// TPM2_Rewrap (Part 3, 13.2).
    Rewrap = 0x152 [] {
        handles { old_parent: DhObjectOrNull as User, new_parent: DhObjectOrNull }
        parameters { in_duplicate: Tpm2bPrivate, name: Tpm2bName, in_sym_seed: Tpm2bEncryptedSecret }
        response RewrapResponse [] { out_duplicate: Tpm2bPrivate, out_sym_seed: Tpm2bEncryptedSecret }
    }

    /// TPM2_Import (Part 3, 13.3).
    Import = 0x156 [] {
        handles { parent_handle: DhObject as User }
        parameters {
            encryption_key: Tpm2bData,
            object_public: Tpm2bPublic,
            duplicate: Tpm2bPrivate,
            in_sym_seed: Tpm2bEncryptedSecret,
            symmetric_alg: SymDefObject,
        }
        response ImportResponse [] { out_private: Tpm2bPrivate }
    }
}

/// The public area of a parent to be: an asymmetric or symmetric storage key.
fn new_parent<'a>(ctx: &'a Context<'_>, h: Handle) -> Result<&'a Public> {
    let key = &ctx.state.object(h).map_err(|_| Rc::TYPE.handle(2))?.public;
    if check::is_storage_key(key) {
        Ok(key)
    } else {
        Err(Rc::TYPE.handle(2))
    }
}

/// Whether the caller's key has the size of the inner wrapper's algorithm.
fn key_fits(symmetric: SymDefObject, key: &[u8]) -> bool {
    symmetric.0.map_or(0, crate::wire::Aes::key_bytes) == key.len()
}

impl Action for Duplicate {
    type Response = DuplicateResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<DuplicateResponse> {
        let mut rng = ctx.fork_rng();
        let object = ctx
            .state
            .object(self.object_handle)
            .map_err(|_| Rc::TYPE.handle(1))?;
        if object.has(A::FIXED_PARENT) {
            return Err(Rc::ATTRIBUTES.handle(1));
        }
        let alg = object.public.name_alg.ok_or(Rc::TYPE.handle(1))?;
        let parent = if self.new_parent_handle == Handle::NULL {
            None
        } else {
            Some(new_parent(ctx, self.new_parent_handle)?)
        };
        if object.has(A::ENCRYPTED_DUPLICATION) {
            if self.symmetric_alg.0.is_none() {
                return Err(Rc::SYMMETRIC.parameter(2));
            }
            if parent.is_none() {
                return Err(Rc::HIERARCHY.handle(2));
            }
        }
        let given = &self.encryption_key_in;
        let wanted = self.symmetric_alg.0.map_or(0, crate::wire::Aes::key_bytes);
        if !given.is_empty() && given.len() != wanted {
            return Err(Rc::SIZE.parameter(1));
        }
        // A key that the caller did not give is made, and told.
        let mut key = Zeroizing::new(given.to_vec());
        let mut encryption_key_out = Tpm2bData::empty();
        if given.is_empty() && wanted > 0 {
            key.resize(wanted, 0);
            crate::crypto::rng::Random::fill(&mut rng, &mut key);
            encryption_key_out = Tpm2bData::new(&key)?;
        }
        let sensitive = object.secrets().map_err(|_| Rc::HANDLE.handle(1))?;
        let inner = Inner {
            symmetric: self.symmetric_alg,
            key: &key,
        };
        let (duplicate, out_sym_seed) = match parent {
            None => (
                protect::duplicate(sensitive, &object.name, alg, &inner, None)?,
                Tpm2bEncryptedSecret::empty(),
            ),
            Some(parent) => {
                let (seed, carried) = secret::encrypt(parent, label::DUPLICATE, &mut rng)?;
                let outer = Wrapper::new(parent, &seed)?;
                (
                    protect::duplicate(sensitive, &object.name, alg, &inner, Some(&outer))?,
                    carried,
                )
            }
        };
        Ok(DuplicateResponse {
            encryption_key_out,
            duplicate,
            out_sym_seed,
        })
    }
}

impl Action for Rewrap {
    type Response = RewrapResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<RewrapResponse> {
        if self.in_sym_seed.is_empty() != (self.old_parent == Handle::NULL) {
            return Err(Rc::HANDLE.handle(1));
        }
        ctx.state.prepare_rsa(self.old_parent)?;
        let mut rng = ctx.fork_rng();
        let data = if self.old_parent == Handle::NULL {
            protect::unwrap_outer(None, &self.name, &self.in_duplicate)?
        } else {
            let old = ctx
                .state
                .object(self.old_parent)
                .map_err(|_| Rc::TYPE.handle(1))?;
            if !check::is_storage_parent(old) {
                return Err(Rc::TYPE.handle(1));
            }
            let seed = secret::decrypt(old, label::DUPLICATE, &self.in_sym_seed, &mut rng)
                .map_err(|_| Rc::VALUE.parameter(3))?;
            let outer = Wrapper::new(&old.public, &seed)?;
            protect::unwrap_outer(Some(&outer), &self.name, &self.in_duplicate)
                .map_err(|rc| rc.parameter(1))?
        };
        if self.new_parent == Handle::NULL {
            let out_duplicate = protect::rewrap(None, &self.name, data)?;
            return Ok(RewrapResponse {
                out_duplicate,
                out_sym_seed: Tpm2bEncryptedSecret::empty(),
            });
        }
        let parent = new_parent(ctx, self.new_parent)?;
        let (seed, out_sym_seed) = secret::encrypt(parent, label::DUPLICATE, &mut rng)?;
        let outer = Wrapper::new(parent, &seed)?;
        Ok(RewrapResponse {
            out_duplicate: protect::rewrap(Some(&outer), &self.name, data)?,
            out_sym_seed,
        })
    }
}

impl Action for Import {
    type Response = ImportResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ImportResponse> {
        let public = &self.object_public.0;
        if public
            .attributes
            .has_any(A::FIXED_TPM.with(A::FIXED_PARENT))
        {
            return Err(Rc::ATTRIBUTES.parameter(2));
        }
        ctx.state.prepare_rsa(self.parent_handle)?;
        let mut rng = ctx.fork_rng();
        let parent = ctx
            .state
            .object(self.parent_handle)
            .map_err(|_| Rc::TYPE.handle(1))?;
        if !check::is_storage_parent(parent) {
            return Err(Rc::TYPE.handle(1));
        }
        let encrypted = public.attributes.has(A::ENCRYPTED_DUPLICATION);
        if !key_fits(self.symmetric_alg, &self.encryption_key) {
            return Err(Rc::SIZE.parameter(1));
        }
        if encrypted && self.symmetric_alg.0.is_none() {
            return Err(Rc::ATTRIBUTES.parameter(1));
        }
        let seed: Zeroizing<Vec<u8>>;
        let outer = if self.in_sym_seed.is_empty() {
            if encrypted {
                return Err(Rc::ATTRIBUTES.parameter(4));
            }
            None
        } else {
            if parent.public.object_type() == ObjectType::SymCipher {
                return Err(Rc::TYPE.handle(1));
            }
            seed = secret::decrypt(parent, label::DUPLICATE, &self.in_sym_seed, &mut rng)
                .map_err(|rc| rc.parameter(4))?;
            Some(Wrapper::new(&parent.public, &seed)?)
        };
        let alg = public.name_alg.ok_or(Rc::HASH.parameter(2))?;
        let name = name::of_public(public);
        let inner = Inner {
            symmetric: self.symmetric_alg,
            key: &self.encryption_key,
        };
        let sensitive =
            protect::from_duplicate(&self.duplicate, &name, alg, &inner, outer.as_ref())
                .map_err(|rc| rc.parameter(3))?;
        if parent.has(A::FIXED_TPM) {
            // Checked now, since a load below such a parent does not.
            validate::object(
                None,
                public,
                Some(&sensitive),
                Blame {
                    public: 2,
                    sensitive: 3,
                },
            )?;
        }
        let out_private = protect::private(parent, &sensitive, &name, Some(alg), &mut rng)?;
        Ok(ImportResponse { out_private })
    }
}
