//! What the server needs of a TPM.

/// A TPM as the simulator's protocol sees it: power, lines and commands.
pub trait Engine: Send {
    /// `_TPM_Init`: power comes back, or the reset line was pulled.
    fn init(&mut self);

    /// The power goes; what was not stored is lost.
    fn power_off(&mut self);

    /// Physical presence is asserted, or not.
    fn physical_presence(&mut self, asserted: bool);

    /// Whether NV memory can be written.
    fn nv_available(&mut self, available: bool);

    /// `_TPM_Hash_Start`, of the locality-4 measurement.
    fn hash_start(&mut self);

    /// `_TPM_Hash_Data`.
    fn hash_data(&mut self, data: &[u8]);

    /// `_TPM_Hash_End`.
    fn hash_end(&mut self);

    /// The response to a command of any bytes; what it changed for good is stored
    /// when it returns. While it runs, `cancelled` says
    /// whether the caller wants no more of it.
    fn execute(&mut self, locality: u8, command: &[u8], cancelled: &dyn Fn() -> bool) -> Vec<u8>;
}
