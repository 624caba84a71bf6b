//! What preview 1 names and a tenant's module does not get: it links, and answers an error number.

use wasmtime::{FuncType, Linker, Val, ValType};

use super::super::WasmError;
use super::MODULE;
use super::errno::Errno;
use super::state::Wasi;

/// Name, parameters (`i` 32 bits, `I` 64 bits), and what an open descriptor in the first of them answers; one that is not
/// open is told so.
const OF_DESCRIPTORS: &[(&str, &str, Errno)] = &[
    ("fd_advise", "iIIi", Errno::Spipe),
    ("fd_allocate", "iII", Errno::Spipe),
    ("fd_fdstat_set_flags", "ii", Errno::Notsup),
    ("fd_fdstat_set_rights", "iII", Errno::Notsup),
    ("fd_filestat_set_size", "iI", Errno::Notsup),
    ("fd_filestat_set_times", "iIIi", Errno::Notsup),
    ("fd_pread", "iiiIi", Errno::Spipe),
    // No folder is open: this is what ends a program's search for them.
    ("fd_prestat_get", "ii", Errno::Badf),
    ("fd_prestat_dir_name", "iii", Errno::Badf),
    ("fd_pwrite", "iiiIi", Errno::Spipe),
    ("fd_readdir", "iiiIi", Errno::Notsup),
    ("fd_renumber", "ii", Errno::Notsup),
    ("fd_seek", "iIii", Errno::Spipe),
    ("fd_tell", "ii", Errno::Spipe),
    ("path_create_directory", "iii", Errno::Notcapable),
    ("path_filestat_get", "iiiii", Errno::Notcapable),
    ("path_filestat_set_times", "iiiiIIi", Errno::Notcapable),
    ("path_link", "iiiiiii", Errno::Notcapable),
    ("path_open", "iiiiiIIii", Errno::Notcapable),
    ("path_readlink", "iiiiii", Errno::Notcapable),
    ("path_remove_directory", "iii", Errno::Notcapable),
    ("path_rename", "iiiiii", Errno::Notcapable),
    ("path_unlink_file", "iii", Errno::Notcapable),
    ("sock_accept", "iii", Errno::Notsup),
    ("sock_recv", "iiiiii", Errno::Notsup),
    ("sock_send", "iiiii", Errno::Notsup),
    ("sock_shutdown", "ii", Errno::Notsup),
];

/// The same without a descriptor in front.
const OTHERS: &[(&str, &str, Errno)] =
    &[("path_symlink", "iiiii", Errno::Notcapable), ("proc_raise", "i", Errno::Nosys)];

pub(super) fn define(linker: &mut Linker<Wasi>) -> Result<(), WasmError> {
    for &(name, parameters, errno) in OF_DESCRIPTORS {
        let ty = signature(linker, parameters);
        linker.func_new(MODULE, name, ty, move |caller, values, results| {
            let fd = values.first().and_then(Val::i32).unwrap_or(-1);
            let refusal = caller.data().open(fd.cast_unsigned()).err().unwrap_or(errno);
            results[0] = Val::I32(refusal.number());
            Ok(())
        })?;
    }
    for &(name, parameters, errno) in OTHERS {
        let ty = signature(linker, parameters);
        linker.func_new(MODULE, name, ty, move |_, _, results| {
            results[0] = Val::I32(errno.number());
            Ok(())
        })?;
    }
    Ok(())
}

fn signature(linker: &Linker<Wasi>, parameters: &str) -> FuncType {
    let parameters = parameters.chars().map(|letter| if letter == 'I' { ValType::I64 } else { ValType::I32 });
    FuncType::new(linker.engine(), parameters, [ValType::I32])
}

#[cfg(test)]
mod tests {
    use wasmtime::Engine;

    use super::super::linker;

    /// Preview 1's functions, all of them, as its specification lists them.
    const ALL: &str = "args_get args_sizes_get environ_get environ_sizes_get clock_res_get clock_time_get fd_advise \
        fd_allocate fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get \
        fd_filestat_set_size fd_filestat_set_times fd_pread fd_prestat_get fd_prestat_dir_name fd_pwrite fd_read fd_readdir \
        fd_renumber fd_seek fd_sync fd_tell fd_write path_create_directory path_filestat_get path_filestat_set_times \
        path_link path_open path_readlink path_remove_directory path_rename path_symlink path_unlink_file poll_oneoff \
        proc_exit proc_raise sched_yield random_get sock_accept sock_recv sock_send sock_shutdown";

    #[test]
    fn everything_that_preview_1_names_can_be_imported() {
        let engine = Engine::new(&super::super::super::config::shared()).unwrap();
        let linker = linker(&engine).unwrap();
        let mut store = wasmtime::Store::new(&engine, super::super::state::tests::nobody());
        let mut found: Vec<String> = linker.iter(&mut store).map(|(_, name, _)| name.to_owned()).collect();
        let mut all: Vec<&str> = ALL.split_whitespace().collect();
        found.sort();
        all.sort_unstable();
        assert_eq!(found, all);
    }
}
