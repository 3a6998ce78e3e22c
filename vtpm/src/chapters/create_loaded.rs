//! CreateLoaded (Part 3, 12.9).

use crate::command::Action;
use crate::context::Context;
use crate::object::make::{self, Source};
use crate::object::{check, derive, load, protect};
use crate::rc::{Rc, Result};
use crate::wire::{
    Derive, ObjectAttributes, ObjectType, Public, Reader, RhHierarchy, SensitiveCreate, Sized2b,
    Tpm2bName, Tpm2bPrivate, Tpm2bPublic, Tpm2bSensitiveCreate, Tpm2bTemplate, Unique, Unmarshal,
};

crate::commands! {
    /// TPM2_CreateLoaded (Part 3, 12.9).
    CreateLoaded = 0x191 [] {
        handles { parent_handle: DhParent as User }
        parameters { in_sensitive: Tpm2bSensitiveCreate, in_public: Tpm2bTemplate }
        response CreateLoadedResponse [object_handle] {
            out_private: Tpm2bPrivate,
            out_public: Tpm2bPublic,
            name: Tpm2bName,
        }
    }
}

/// The template of a derived object: in place of the unique field stand a
/// label and a context.
fn derived_template(template: &[u8]) -> Result<(Public, Derive)> {
    let mut r = Reader::new(template);
    let (name_alg, attributes, auth_policy, params) = Public::read_head(&mut r, false)?;
    let label: Derive = r.read()?;
    if !r.is_empty() {
        return Err(Rc::SIZE);
    }
    // What is put in here is replaced by what is derived.
    let unique = Unique::Digest(crate::wire::Tpm2bDigest::empty());
    Ok((
        Public {
            name_alg,
            attributes,
            auth_policy,
            params,
            unique,
        },
        label,
    ))
}

/// Label and context: from the template, and where that has none, from the
/// sensitive data.
fn label_and_context(mut label: Derive, given: &SensitiveCreate) -> Result<Derive> {
    if !given.data.is_empty() {
        let other = Derive::from_bytes(&given.data)?;
        if label.label.is_empty() {
            label.label = other.label;
        }
        if label.context.is_empty() {
            label.context = other.context;
        }
    }
    Ok(label)
}

impl Action for CreateLoaded {
    type Response = CreateLoadedResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<CreateLoadedResponse> {
        ctx.state.need_object_slot()?;
        let given = &self.in_sensitive.0;
        let parent = if self.parent_handle.is_object() {
            Some(
                ctx.state
                    .object(self.parent_handle)
                    .map_err(|_| Rc::TYPE.handle(1))?,
            )
        } else {
            None
        };
        if parent.is_some_and(|p| !check::is_storage_parent(p) && !check::is_derivation_parent(p)) {
            return Err(Rc::TYPE.handle(1));
        }
        let made = if let Some(parent) = parent.filter(|p| check::is_derivation_parent(p)) {
            let (template, label) =
                derived_template(&self.in_public).map_err(|rc| rc.parameter(2))?;
            load::padded_auth(&given.user_auth, template.name_alg).map_err(|rc| rc.parameter(1))?;
            if template.object_type() == ObjectType::Rsa {
                return Err(Rc::TYPE.parameter(2));
            }
            if template
                .attributes
                .has(ObjectAttributes::SENSITIVE_DATA_ORIGIN)
            {
                return Err(Rc::ATTRIBUTES);
            }
            check::public_area(Some(parent), &template).map_err(|rc| rc.parameter(2))?;
            let label = label_and_context(label, given).map_err(|rc| rc.parameter(1))?;
            derive::derive(parent, &template, &given.user_auth, &label)?
        } else {
            let template = Public::from_bytes(&self.in_public).map_err(|rc| rc.parameter(2))?;
            load::padded_auth(&given.user_auth, template.name_alg).map_err(|rc| rc.parameter(1))?;
            check::creation(parent, &template, given.data.len()).map_err(|rc| rc.parameter(2))?;
            let source = match parent {
                None => Source::Primary(RhHierarchy(self.parent_handle)),
                Some(_) => Source::Random,
            };
            make::make(ctx, &template, given, &source)?
        };
        let mut rng = ctx.fork_rng();
        let mut out_private = Tpm2bPrivate::empty();
        if self.parent_handle.is_object() {
            let parent = ctx.state.object(self.parent_handle)?;
            if check::is_storage_parent(parent) {
                let name = made.name();
                out_private = protect::private(
                    parent,
                    &made.sensitive,
                    &name,
                    made.public.name_alg,
                    &mut rng,
                )?;
            }
        }
        let object = made.into_object(ctx.state, self.parent_handle)?;
        let (out_public, name) = (Sized2b(object.public.clone()), object.name.clone());
        Ok(CreateLoadedResponse {
            object_handle: ctx.state.load_object(object)?,
            out_private,
            out_public,
            name,
        })
    }
}
