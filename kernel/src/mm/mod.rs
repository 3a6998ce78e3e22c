//! The kernel's memory: its page tables, its heap, and the windows to everything else.
//!
//! All `unsafe` of the kernel is here and in [`crate::arch`].

pub(crate) mod layout;
#[allow(
    dead_code,
    reason = "stage2 shares the file and needs another part of it"
)]
pub(crate) mod paging;

#[cfg(target_os = "none")]
pub(crate) mod ap_memory;
#[cfg(target_os = "none")]
pub(crate) mod ghcb_page;
#[cfg(target_os = "none")]
pub(crate) mod hand_off;
#[cfg(target_os = "none")]
pub(crate) mod heap;
#[cfg(target_os = "none")]
pub(crate) mod map_memory;
#[cfg(target_os = "none")]
pub(crate) mod message_pages;
#[cfg(target_os = "none")]
mod own_pages;
mod raw;
#[cfg(target_os = "none")]
pub(crate) mod space;
#[cfg(target_os = "none")]
pub(crate) mod transfer;
pub(crate) mod window;
pub(crate) mod window_page;
