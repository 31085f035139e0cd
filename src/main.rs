//! The `entrada` program: parse the arguments, run, exit.

fn main() -> std::process::ExitCode {
    entrada::cli::main()
}
