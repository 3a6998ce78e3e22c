//! Primary and persistent objects (Part 3, 24.1 and 28.5).

use crate::command::Action;
use crate::context::Context;
use crate::limits::MAX_PERSISTENT_OBJECTS;
use crate::object::make::{self, Source};
use crate::object::{check, creation, load};
use crate::rc::{Rc, Result};
use crate::state::ObjectFlags;
use crate::wire::{
    CreationData, DhPersistent, Handle, HandleType, PcrSelection, RhHierarchy, Sized2b, Ticket,
    Tpm2bData, Tpm2bDigest, Tpm2bName, Tpm2bPublic, Tpm2bSensitiveCreate,
};

crate::commands! {
    /// TPM2_CreatePrimary (Part 3, 24.1).
    CreatePrimary = 0x131 [] {
        handles { primary_handle: RhHierarchy as User }
        parameters {
            in_sensitive: Tpm2bSensitiveCreate,
            in_public: Tpm2bPublic,
            outside_info: Tpm2bData,
            creation_pcr: PcrSelection,
        }
        response CreatePrimaryResponse [object_handle] {
            out_public: Tpm2bPublic,
            creation_data: Sized2b<CreationData>,
            creation_hash: Tpm2bDigest,
            creation_ticket: Ticket,
            name: Tpm2bName,
        }
    }

    /// TPM2_EvictControl (Part 3, 28.5).
    EvictControl = 0x120 [nv] {
        handles { auth: RhProvision as User, object_handle: DhObject }
        parameters { persistent_handle: DhPersistent }
        response EvictControlResponse [] {}
    }
}

impl Action for CreatePrimary {
    type Response = CreatePrimaryResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<CreatePrimaryResponse> {
        ctx.state.need_object_slot()?;
        let given = &self.in_sensitive.0;
        let template = &self.in_public.0;
        check::creation(None, template, given.data.len()).map_err(|rc| rc.parameter(2))?;
        load::padded_auth(&given.user_auth, template.name_alg).map_err(|rc| rc.parameter(1))?;
        let alg = template.name_alg.ok_or(Rc::HASH.parameter(2))?;
        let made = make::make(
            ctx,
            template,
            given,
            &Source::Primary(RhHierarchy(self.primary_handle)),
        )?;
        let name = made.name();
        let out_public = Sized2b(made.public.clone());
        let creation = creation::describe(
            ctx,
            self.primary_handle,
            alg,
            &name,
            &self.creation_pcr,
            &self.outside_info,
        )?;
        let object = made.into_object(ctx.state, self.primary_handle)?;
        Ok(CreatePrimaryResponse {
            object_handle: ctx.state.load_object(object)?,
            out_public,
            creation_data: creation.data,
            creation_hash: creation.hash,
            creation_ticket: creation.ticket,
            name,
        })
    }
}

impl Action for EvictControl {
    type Response = EvictControlResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<EvictControlResponse> {
        let place = *self.persistent_handle;
        if ctx.state.sequence(self.object_handle).is_ok() {
            return Err(Rc::ATTRIBUTES.handle(2));
        }
        let object = ctx
            .state
            .object(self.object_handle)
            .map_err(|rc| rc.handle(2))?;
        let persistent = self.object_handle.kind() == HandleType::Persistent;
        let dies =
            object.flags.has(ObjectFlags::TEMPORARY) || object.flags.has(ObjectFlags::ST_CLEAR);
        if dies || object.sensitive.is_none() {
            return Err(Rc::ATTRIBUTES.handle(2));
        }
        if persistent && self.object_handle != place {
            return Err(Rc::HANDLE.handle(2));
        }
        // The owner neither makes nor removes objects of the platform; the
        // platform removes any, and makes its own, in its own range.
        let of_platform = *object.hierarchy == Handle::PLATFORM;
        let platform_range = place.0 >= Handle::PLATFORM_PERSISTENT;
        if self.auth == Handle::PLATFORM {
            if !persistent && !of_platform {
                return Err(Rc::HIERARCHY.handle(2));
            }
            if !persistent && !platform_range {
                return Err(Rc::RANGE.parameter(1));
            }
        } else {
            if of_platform {
                return Err(Rc::HIERARCHY.handle(2));
            }
            if !persistent && platform_range {
                return Err(Rc::RANGE.parameter(1));
            }
        }
        if persistent {
            ctx.state.persistent.remove(place);
            return Ok(EvictControlResponse {});
        }
        if ctx.state.persistent.get(place).is_some() {
            return Err(Rc::NV_DEFINED);
        }
        if ctx.state.persistent.len() >= MAX_PERSISTENT_OBJECTS {
            return Err(Rc::NV_SPACE);
        }
        let kept = object.clone();
        ctx.state.persistent.insert(place, kept);
        Ok(EvictControlResponse {})
    }
}
