//! Miscellaneous management (Part 3, 26).

use crate::command::Action;
use crate::context::Context;
use crate::rc::Result;
use crate::wire::CommandCodes;

/// Commands of which PP_Commands can say that the platform's authorization
/// needs physical presence, in ascending order.
const SELECTABLE: [u32; 18] = [
    0x11F, 0x120, 0x121, 0x122, 0x124, 0x125, 0x126, 0x127, 0x128, 0x129, 0x12A, 0x12B, 0x12C,
    0x12E, 0x130, 0x131, 0x132, 0x140,
];

crate::commands! {
    /// TPM2_PP_Commands (Part 3, 26.2).
    PpCommands = 0x12D [nv pp_always] {
        handles { auth: RhPlatform as User }
        parameters { set_list: CommandCodes, clear_list: CommandCodes }
        response PpCommandsResponse [] {}
    }

    /// TPM2_SetAlgorithmSet (Part 3, 26.3).
    SetAlgorithmSet = 0x13F [nv] {
        handles { auth: RhPlatform as User }
        parameters { algorithm_set: u32 }
        response SetAlgorithmSetResponse [] {}
    }
}

impl Action for PpCommands {
    type Response = PpCommandsResponse;

    fn run(self, ctx: &mut Context<'_>) -> Result<PpCommandsResponse> {
        let _ = self.auth;
        let mut commands = ctx.state.hierarchies.pp_commands.clone();
        commands.extend(
            self.set_list
                .iter()
                .filter(|code| SELECTABLE.contains(code)),
        );
        // A command on both lists does not need presence.
        commands.retain(|code| !self.clear_list.contains(code));
        commands.sort_unstable();
        commands.dedup();
        ctx.state.hierarchies.pp_commands = commands;
        Ok(PpCommandsResponse {})
    }
}

impl Action for SetAlgorithmSet {
    type Response = SetAlgorithmSetResponse;

    /// The number is kept and reported; all algorithms are there in any case.
    fn run(self, ctx: &mut Context<'_>) -> Result<SetAlgorithmSetResponse> {
        let _ = self.auth;
        ctx.state.hierarchies.algorithm_set = self.algorithm_set;
        Ok(SetAlgorithmSetResponse {})
    }
}
