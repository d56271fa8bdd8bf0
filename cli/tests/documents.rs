//! The commands in the documents are run, and their output must be what the documents say.
//!
//! A block fenced as `console` is a command behind `$` and its output, where `...` on a line of its own stands for any
//! number of lines. `TRYCMD=overwrite cargo test -p tidegate-cli --test documents` writes what the commands really say.

#[test]
fn the_documents_tell_the_truth() {
    std::env::set_current_dir("..").expect("the package lies in the workspace");
    trycmd::TestCases::new()
        .env("TZ", "UTC")
        .case("README.md")
        .case("README.zh.md")
        .case("docs/article.md")
        .case("docs/drill.md");
}
