use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::testing::range;

fn gpa(n: u64) -> Gpa {
    Gpa::new(n * 0x1000)
}

fn vcpu(vmsa: u64, area: u64, apic_id: u32) -> Vcpu {
    Vcpu {
        vmsa: gpa(vmsa),
        calling_area: gpa(area),
        apic_id,
        startup: false,
    }
}

#[test]
fn memory_is_reserved_for_all_that_can_be_registered() {
    let mut registry = Registry::new(&[3, 1, 3]).unwrap();
    let capacity = (registry.vcpus.capacity(), registry.areas.capacity());
    for n in 0..16 {
        registry.register(vcpu(2 * n, 2 * n + 1, 1)).unwrap();
    }
    assert_eq!(
        registry.register(vcpu(100, 101, 3)),
        Err(RegisterError::Full)
    );
    assert_eq!(
        (registry.vcpus.capacity(), registry.areas.capacity()),
        capacity
    );
}

#[test]
fn the_startup_vcpu_is_found() {
    let mut registry = Registry::new(&[0]).unwrap();
    registry.register(vcpu(1, 2, 0)).unwrap();
    assert_eq!(registry.startup(), None);
    let startup = Vcpu {
        startup: true,
        ..vcpu(3, 4, 0)
    };
    registry.register(startup).unwrap();
    assert_eq!(registry.startup(), Some(startup));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Register(u64, u64, u32),
    Remove(u64),
    Move(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u64..12, 0u64..12, 0u32..4).prop_map(|(v, a, id)| Step::Register(v, a, id)),
        (0u64..12).prop_map(Step::Remove),
        (0u64..12, 0u64..12).prop_map(|(v, a)| Step::Move(v, a)),
    ]
}

proptest! {
    #[test]
    fn a_page_is_live_once_or_as_the_area_of_one_vcpu(steps in prop::collection::vec(step(), 1..80)) {
        let mut registry = Registry::new(&[0, 1, 2]).unwrap();
        let mut model: BTreeMap<u64, (u64, u32)> = BTreeMap::new();
        let mut newest: BTreeMap<u32, u64> = BTreeMap::new();
        for step in steps {
            let live = |model: &BTreeMap<u64, (u64, u32)>, page: u64| {
                model.contains_key(&page) || model.values().any(|(area, _)| *area == page)
            };
            match step {
                // Two pages of one vCPU are told apart by the caller.
                Step::Register(v, a, _) if v == a => continue,
                Step::Register(v, a, id) => {
                    let expected = if id > 2 {
                        Err(RegisterError::UnknownApicId)
                    } else if live(&model, v)
                        || live(&model, a) && newest.get(&id).is_none_or(|n| model[n].0 != a)
                    {
                        Err(RegisterError::InUse)
                    } else {
                        Ok(())
                    };
                    prop_assert_eq!(registry.register(vcpu(v, a, id)), expected);
                    if expected.is_ok() {
                        model.insert(v, (a, id));
                        newest.insert(id, v);
                    }
                }
                Step::Remove(v) => {
                    let expected = model.remove(&v);
                    let removed = registry.remove(gpa(v));
                    prop_assert_eq!(removed, expected.map(|(a, id)| vcpu(v, a, id)));
                    newest.retain(|_, newest| *newest != v);
                }
                Step::Move(v, a) => {
                    let expected = !live(&model, a);
                    prop_assert_eq!(registry.move_calling_area(gpa(v), gpa(a)).is_ok(), expected);
                    if expected && let Some(entry) = model.get_mut(&v) {
                        entry.0 = a;
                    }
                }
            }
            for n in 0..13 {
                prop_assert_eq!(registry.is_live(gpa(n)), live(&model, n));
                let page = range(n * 0x1000, 0x1000);
                prop_assert_eq!(registry.covers_vmsa(page), model.contains_key(&n));
                let is_area = model.values().any(|(area, _)| *area == n);
                prop_assert_eq!(registry.covers_calling_area(page), is_area);
                prop_assert_eq!(registry.covers_control_bytes(page), is_area);
                prop_assert!(!registry.covers_control_bytes(range(n * 0x1000 + 8, 0xff8)));
                let two = range(n * 0x1000, 0x2000);
                let either = model.contains_key(&n) || model.contains_key(&(n + 1));
                prop_assert_eq!(registry.covers_vmsa(two), either);
            }
            for id in 0..4 {
                let expected = newest.get(&id).map(|v| vcpu(*v, model[v].0, id));
                prop_assert_eq!(registry.current(id), expected);
            }
        }
    }
}
