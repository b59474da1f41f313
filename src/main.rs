//! The program: parse, start logs, run, map the outcome to an exit code (sysexits).

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    leafrank::cli::run()
}
