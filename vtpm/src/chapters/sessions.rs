//! Session commands (Part 3, 11).

use crate::session::session_number;
use crate::state::State;
use crate::state::reset::ContextSlot;
use crate::wire::Handle;

/// Ends a session, loaded or saved.
pub fn flush(state: &mut State, h: Handle) {
    state.volatile.sessions.remove(&h.0);
    if let Some(slot) = session_number(h).and_then(|n| state.reset.contexts.get_mut(n)) {
        *slot = ContextSlot {
            state: ContextSlot::FREE,
            saved_at: 0,
        };
    }
    if state.volatile.exclusive_audit == Some(h) {
        state.volatile.exclusive_audit = None;
    }
}

/// Loaded sessions do not survive a loss of power; saved ones do.
pub(crate) fn on_startup(state: &mut State) {
    for slot in &mut state.reset.contexts {
        if slot.state == ContextSlot::LOADED {
            *slot = ContextSlot {
                state: ContextSlot::FREE,
                saved_at: 0,
            };
        }
    }
}
