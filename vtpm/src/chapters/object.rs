//! Objects (Part 3, 12).

use crate::command::Action;
use crate::context::Context;
use crate::object::make::{self, Source};
use crate::object::validate::{self, Blame};
use crate::object::{check, creation, load, name, protect};
use crate::rc::{Rc, Result};
use crate::state::ObjectFlags;
use crate::wire::{
    CreationData, Handle, ObjectAttributes, ObjectType, Optional2b, PcrSelection, PublicOrNull,
    RhHierarchy, Sensitive, Sized2b, Ticket, Tpm2bAuth, Tpm2bData, Tpm2bDigest, Tpm2bName,
    Tpm2bPrivate, Tpm2bPublic, Tpm2bSensitiveCreate, Tpm2bSensitiveData,
};

crate::commands! {
    /// TPM2_Create (Part 3, 12.1).
    Create = 0x153 [] {
        handles { parent_handle: DhObject as User }
        parameters {
            in_sensitive: Tpm2bSensitiveCreate,
            in_public: Tpm2bPublic,
            outside_info: Tpm2bData,
            creation_pcr: PcrSelection,
        }
        response CreateResponse [] {
            out_private: Tpm2bPrivate,
            out_public: Tpm2bPublic,
            creation_data: Sized2b<CreationData>,
            creation_hash: Tpm2bDigest,
            creation_ticket: Ticket,
        }
    }

    /// TPM2_Load (Part 3, 12.2).
    Load = 0x157 [] {
        handles { parent_handle: DhObject as User }
        parameters { in_private: Tpm2bPrivate, in_public: Tpm2bPublic }
        response LoadResponse [object_handle] { name: Tpm2bName }
    }

    /// TPM2_LoadExternal (Part 3, 12.3).
    LoadExternal = 0x167 [] {
        handles {}
        parameters {
            in_private: Optional2b<Sensitive>,
            in_public: Sized2b<PublicOrNull>,
            hierarchy: RhHierarchy,
        }
        response LoadExternalResponse [object_handle] { name: Tpm2bName }
    }

    /// TPM2_ReadPublic (Part 3, 12.4).
    ReadPublic = 0x173 [] {
        handles { object_handle: DhObject }
        parameters {}
        response ReadPublicResponse [] {
            out_public: Tpm2bPublic,
            name: Tpm2bName,
            qualified_name: Tpm2bName,
        }
    }

    /// TPM2_Unseal (Part 3, 12.7).
    Unseal = 0x15E [] {
        handles { item_handle: DhObject as User }
        parameters {}
        response UnsealResponse [] { out_data: Tpm2bSensitiveData }
    }

    /// TPM2_ObjectChangeAuth (Part 3, 12.8).
    ObjectChangeAuth = 0x150 [] {
        handles { object_handle: DhObject as Admin, parent_handle: DhObject }
        parameters { new_auth: Tpm2bAuth }
        response ObjectChangeAuthResponse [] { out_private: Tpm2bPrivate }
    }
}

impl Action for Create {
    type Response = CreateResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<CreateResponse> {
        let given = &self.in_sensitive.0;
        let template = &self.in_public.0;
        let parent = ctx
            .state
            .object(self.parent_handle)
            .map_err(|rc| rc.handle(1))?;
        if !check::is_storage_parent(parent) {
            return Err(Rc::TYPE.handle(1));
        }
        ctx.state.need_object_slot()?;
        check::creation(Some(parent), template, given.data.len()).map_err(|rc| rc.parameter(2))?;
        load::padded_auth(&given.user_auth, template.name_alg).map_err(|rc| rc.parameter(1))?;
        let alg = template.name_alg.ok_or(Rc::HASH.parameter(2))?;
        let made = make::make(ctx, template, given, &Source::Random)?;
        let name = made.name();
        let creation = creation::describe(
            ctx,
            self.parent_handle,
            alg,
            &name,
            &self.creation_pcr,
            &self.outside_info,
        )?;
        let mut rng = ctx.fork_rng();
        let parent = ctx.state.object(self.parent_handle)?;
        let out_private = protect::private(parent, &made.sensitive, &name, Some(alg), &mut rng)?;
        Ok(CreateResponse {
            out_private,
            out_public: Sized2b(made.public),
            creation_data: creation.data,
            creation_hash: creation.hash,
            creation_ticket: creation.ticket,
        })
    }
}

impl Action for Load {
    type Response = LoadResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<LoadResponse> {
        ctx.state.need_object_slot()?;
        if self.in_private.is_empty() {
            return Err(Rc::SIZE.parameter(1));
        }
        let parent = ctx
            .state
            .object(self.parent_handle)
            .map_err(|rc| rc.handle(1))?;
        if !check::is_storage_parent(parent) {
            return Err(Rc::TYPE.handle(1));
        }
        let public = self.in_public.0;
        let name = name::of_public(&public);
        let sensitive =
            protect::from_private(parent, &self.in_private, &name).map_err(|rc| rc.parameter(1))?;
        validate::object(
            Some(parent),
            &public,
            Some(&sensitive),
            Blame {
                public: 2,
                sensitive: 1,
            },
        )?;
        let object = load::place(
            ctx.state,
            self.parent_handle,
            public,
            Some(sensitive),
            ObjectFlags::default(),
        )?;
        Ok(LoadResponse {
            object_handle: ctx.state.load_object(object)?,
            name,
        })
    }
}

impl Action for LoadExternal {
    type Response = LoadExternalResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<LoadExternalResponse> {
        ctx.state.need_object_slot()?;
        let hierarchy = *self.hierarchy;
        if !ctx.state.hierarchy_enabled(hierarchy) {
            return Err(Rc::HIERARCHY.parameter(3));
        }
        let PublicOrNull(public) = self.in_public.0;
        let sensitive = self.in_private.0;
        if sensitive.is_some() {
            if hierarchy != Handle::NULL {
                return Err(Rc::HIERARCHY.parameter(3));
            }
            let fixed = ObjectAttributes::FIXED_TPM.with(ObjectAttributes::FIXED_PARENT);
            if public
                .attributes
                .has_any(fixed.with(ObjectAttributes::RESTRICTED))
            {
                return Err(Rc::ATTRIBUTES.parameter(2));
            }
        }
        validate::object(
            None,
            &public,
            sensitive.as_ref(),
            Blame {
                public: 2,
                sensitive: 1,
            },
        )?;
        let object = load::place(
            ctx.state,
            hierarchy,
            public,
            sensitive,
            ObjectFlags::EXTERNAL,
        )?;
        let name = object.name.clone();
        Ok(LoadExternalResponse {
            object_handle: ctx.state.load_object(object)?,
            name,
        })
    }
}

impl Action for ReadPublic {
    type Response = ReadPublicResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ReadPublicResponse> {
        if ctx.state.sequence(self.object_handle).is_ok() {
            return Err(Rc::SEQUENCE);
        }
        let object = ctx
            .state
            .object(self.object_handle)
            .map_err(|rc| rc.handle(1))?;
        Ok(ReadPublicResponse {
            out_public: Sized2b(object.public.clone()),
            name: object.name.clone(),
            qualified_name: object.qualified_name.clone(),
        })
    }
}

impl Action for Unseal {
    type Response = UnsealResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<UnsealResponse> {
        let object = ctx
            .state
            .object(self.item_handle)
            .map_err(|_| Rc::TYPE.handle(1))?;
        if object.public.object_type() != ObjectType::KeyedHash {
            return Err(Rc::TYPE.handle(1));
        }
        let used = ObjectAttributes::DECRYPT
            .with(ObjectAttributes::SIGN)
            .with(ObjectAttributes::RESTRICTED);
        if object.public.attributes.has_any(used) {
            return Err(Rc::ATTRIBUTES.handle(1));
        }
        let sensitive = object.secrets().map_err(|_| Rc::HANDLE.handle(1))?;
        Ok(UnsealResponse {
            out_data: Tpm2bSensitiveData::new(&sensitive.data)?,
        })
    }
}

impl Action for ObjectChangeAuth {
    type Response = ObjectChangeAuthResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<ObjectChangeAuthResponse> {
        let mut rng = ctx.fork_rng();
        let object = ctx
            .state
            .object(self.object_handle)
            .map_err(|_| Rc::TYPE.handle(1))?;
        let alg = object.public.name_alg;
        let new_auth = load::padded_auth(&self.new_auth, alg).map_err(|rc| rc.parameter(1))?;
        // Whether it is the parent, the Qualified Name tells.
        let parent = ctx
            .state
            .object(self.parent_handle)
            .map_err(|_| Rc::TYPE.handle(2))?;
        let below = name::qualified(&parent.qualified_name, alg, &object.name);
        if !check::is_storage_parent(parent) || object.qualified_name != below {
            return Err(Rc::TYPE.handle(2));
        }
        let mut sensitive = object.secrets().map_err(|_| Rc::HANDLE.handle(1))?.clone();
        sensitive.auth = new_auth;
        let out_private = protect::private(parent, &sensitive, &object.name, alg, &mut rng)?;
        Ok(ObjectChangeAuthResponse { out_private })
    }
}
