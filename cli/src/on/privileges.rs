//! Giving up every right once what needs rights is open.
//!
//! Sections: `capabilities(7)`, `user_namespaces(7)`.
//! In: perhaps a user to become.
//! Out: a process without capabilities, and without a way to any.

use std::fs;

use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use crate::failure::Failure;

/// Becomes `user`, if there is one, and drops all capabilities. The thread must be the only one: rights belong to
/// threads, and those to come inherit this one's.
pub(super) fn drop(user: Option<&str>) -> Result<(), Failure> {
    let user = user.map(find).transpose()?;
    let failed = |what: &str, e: Errno| Failure::refused(format_args!("cannot {what}: {e}"));
    set_no_new_privs(true).map_err(|e| failed("give up new privileges", e))?;
    let had = rustix::thread::capabilities(None).map_err(|e| failed("read the capabilities", e))?;
    if had.effective.contains(CapabilitySet::SETPCAP) {
        for capability in CapabilitySet::all().iter() {
            match remove_capability_from_bounding_set(capability) {
                // Newer than the kernel.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(e) => return Err(failed("empty the bounding set", e)),
            }
        }
    }
    if let Some(User { uid, gid, groups }) = user {
        let become_user = || {
            set_thread_groups(&groups)?;
            set_thread_res_gid(gid, gid, gid)?;
            set_thread_res_uid(uid, uid, uid)
        };
        become_user().map_err(|e| failed("become another user", e))?;
    }
    clear_ambient_capability_set().map_err(|e| failed("empty the ambient set", e))?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, none).map_err(|e| failed("drop the capabilities", e))
}

struct User {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

/// A user by name, or by numbers.
fn find(user: &str) -> Result<User, Failure> {
    if let Some((uid, gid)) = user.split_once(':')
        && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
    {
        return Ok(User { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), groups: Vec::new() });
    }
    let refused = |file: &str, e| Failure::refused(format_args!("cannot read {file}: {}", super::plain(&e)));
    let passwd = fs::read_to_string("/etc/passwd").map_err(|e| refused("/etc/passwd", e))?;
    let unknown = || Failure::refused(format_args!("there is no user {user:?} in /etc/passwd"));
    let (uid, gid) = in_passwd(&passwd, user).ok_or_else(unknown)?;
    let group = fs::read_to_string("/etc/group").map_err(|e| refused("/etc/group", e))?;
    let groups = in_group(&group, user).into_iter().map(Gid::from_raw).collect();
    Ok(User { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), groups })
}

/// name:password:uid:gid:...
fn in_passwd(file: &str, user: &str) -> Option<(u32, u32)> {
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        (name == user).then_some((uid, gid))
    })
}

/// name:password:gid:member,member...
fn in_group(file: &str, user: &str) -> Vec<u32> {
    let gid = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let gid = fields.next()?.parse().ok()?;
        fields.next()?.split(',').any(|member| member == user).then_some(gid)
    };
    file.lines().filter_map(gid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_their_groups() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nnobody:x:65534:65533:nobody:/:/bin/false\n";
        assert_eq!(in_passwd(passwd, "nobody"), Some((65_534, 65_533)));
        assert_eq!(in_passwd(passwd, "broken"), None);
        let group = "root:x:0:\nvideo:x:44:ann,nobody\naudio:x:29:ann\nkvm:x:104:nobody\n";
        assert_eq!(in_group(group, "nobody"), [44, 104]);
        assert!(in_group(group, "nobod").is_empty());
    }
}
