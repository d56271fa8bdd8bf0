//! `docs/RFC.md`: every requirement of RFC 9293, with the code, the tests and the scripts that carry its tag.
//!
//! Sections: RFC 9293, all of its numbered requirements.
//! In: `rfc9293.tsv`, the tags in every source file, the tags at the head of every script.
//! Out: the page, compared with what stands in `docs`; `RFC_MD=overwrite` renews it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// One line of `rfc9293.tsv`.
struct Requirement {
    id: String,
    section: String,
    /// It shows on the wire, so a script can show it.
    on_the_wire: bool,
    what: String,
}

/// What carries a tag.
#[derive(Default)]
struct Carriers {
    code: BTreeSet<String>,
    tests: BTreeSet<String>,
    scripts: BTreeSet<String>,
}

#[test]
fn the_page_tells_what_carries_every_requirement() {
    let (requirements, carriers) = (requirements(), carriers());
    assert_eq!(requirements.len(), 119);
    let mut wrong = Vec::new();
    for tag in carriers.keys().filter(|tag| !requirements.iter().any(|known| known.id == **tag)) {
        wrong.push(format!("there is no requirement {tag}"));
    }
    let none = Carriers::default();
    for requirement in &requirements {
        let id = requirement.id.as_str();
        let carried = carriers.get(id).unwrap_or(&none);
        let is_bare = carried.code.is_empty() && carried.tests.is_empty() && carried.scripts.is_empty();
        if is_bare && exception(id).is_none() {
            wrong.push(format!("{id} has neither a tag nor an exception"));
        }
        if !carried.code.is_empty() && carried.tests.is_empty() && carried.scripts.is_empty() {
            wrong.push(format!("{id} has code and nothing that shows it"));
        }
        if requirement.on_the_wire && carried.scripts.is_empty() && exception(id).or(no_script(id)).is_none() {
            wrong.push(format!("{id} shows on the wire, and no script shows it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let page = page(&requirements, &carriers);
    let path = root().join("docs/RFC.md");
    if std::env::var("RFC_MD").is_ok_and(|value| value == "overwrite") {
        fs::write(&path, &page).expect("docs can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(page.lines()).find(|(is, ought)| is != ought);
    assert!(
        written == page,
        "docs/RFC.md is stale, RFC_MD=overwrite renews it. The first difference:\n  is    {}\n  ought {}",
        differs.map_or("(its length)", |(is, _)| is),
        differs.map_or("(its length)", |(_, ought)| ought),
    );
}

/// Three lines of what the script is about, then its tags.
#[test]
fn every_script_says_what_it_is_about() {
    let mut wrong = Vec::new();
    let mut seen = BTreeMap::new();
    for file in files(&root().join("lab/tests/scripts"), "pkt") {
        let text = fs::read_to_string(&file).expect("a script");
        let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("// ")).collect();
        let tags = head.last().and_then(|line| line.strip_prefix("Tags: "));
        let is_tag = |tag: &str| {
            let (rfc, what) = tag.split_once(['/', '#']).unwrap_or_default();
            !rfc.is_empty() && rfc.bytes().all(|b| b.is_ascii_digit()) && !what.is_empty()
        };
        if head.len() != 4 || !tags.is_some_and(|tags| tags.split(' ').all(is_tag)) {
            wrong.push(format!("{}: three lines and a line of tags", file.display()));
        }
        let events: Vec<&str> = text.lines().filter(|line| !line.starts_with("//") && !line.is_empty()).collect();
        if let Some(other) = seen.insert(events.join("\n"), file.clone()) {
            wrong.push(format!("{} is {} again", file.display(), other.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() >= 250, "{} scripts", seen.len());
}

/// Why a requirement is not met, or needs nothing to be met.
fn exception(id: &str) -> Option<&'static str> {
    Some(match id {
        "MUST-51" | "MUST-52" | "MUST-53" | "SHLD-24" => {
            "Source routes are not supported: the options are passed over, and most networks drop packets that have \
             them (RFC 7126)."
        }
        "SHLD-8" => "Not yet: ECN is not negotiated, and what arrives marked is taken as it is.",
        "SHLD-13" | "SHLD-23" => "Advice to applications; nothing that a stack could do.",
        "SHLD-20" => {
            "Nothing to switch off: reports wait until the program asks for them, and a program that never asks is \
             never disturbed."
        }
        "SHLD-26" => {
            "Soft in synchronized states, as RFC 5461 describes: one forged packet must not end a connection. While a \
             connection is being opened such an error ends the attempt."
        }
        "MAY-4" => "Not used: packets are atomic, and their identification means nothing (RFC 6864).",
        "MAY-7" => "Not used: what lies beyond a window that was shrunk waits until it opens.",
        "MAY-10" | "MAY-11" => "Not supported: the IP options are passed over.",
        "MAY-14" => "There is no FLUSH: abort discards what waits.",
        "MAY-15" => "There is no PUSH flag: every write is pushed (MUST-60, MUST-61).",
        "MAY-17" => "PSH is not passed up: text is readable as soon as it is in order.",
        _ => return None,
    })
}

/// Why no script can show what shows on the wire.
fn no_script(id: &str) -> Option<&'static str> {
    Some(match id {
        "MUST-8" => "A script counts from the initial sequence number, whatever it is.",
        "MUST-50" | "MUST-57" | "MUST-63" => {
            "Tests play it: the language writes no IP options, and only the addresses of the connection."
        }
        _ => return None,
    })
}

fn page(requirements: &[Requirement], carriers: &BTreeMap<String, Carriers>) -> String {
    let mut page = String::from(HEAD);
    let none = Carriers::default();
    let mut level = "";
    for Requirement { id, section, what, .. } in requirements {
        let here = id.split('-').next().unwrap_or_default();
        if here != level {
            level = here;
            let title = match level {
                "MUST" => "MUST and MUST NOT",
                "SHLD" => "SHOULD and SHOULD NOT",
                "MAY" => "MAY",
                _ => "RECOMMENDED",
            };
            write!(page, "\n## {title}\n\n{COLUMNS}").expect("a string takes everything");
        }
        let Carriers { code, tests, scripts } = carriers.get(id).unwrap_or(&none);
        let list =
            |names: &BTreeSet<String>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let is_bare = code.is_empty() && tests.is_empty() && scripts.is_empty();
        let code = if is_bare { exception(id).unwrap_or_default().to_owned() } else { list(code) };
        let scripts = if scripts.is_empty() { no_script(id).unwrap_or_default().to_owned() } else { list(scripts) };
        writeln!(page, "| {id} | {section} | {what} | {code} | {} | {scripts} |", list(tests))
            .expect("a string takes everything");
    }
    page
}

fn requirements() -> Vec<Requirement> {
    let table = include_str!("rfc9293.tsv").lines().map(|line| {
        let mut cells = line.split('\t').map(str::to_owned);
        let mut cell = || cells.next().expect("four cells");
        Requirement { id: cell(), section: cell(), on_the_wire: cell() == "W", what: cell() }
    });
    table.collect()
}

/// Everything that carries a tag of RFC 9293, by the requirement.
fn carriers() -> BTreeMap<String, Carriers> {
    let mut all = BTreeMap::<String, Carriers>::new();
    let root = root();
    for folder in ["proto", "lab", "host", "cli"].map(|name| root.join(name)) {
        for file in files(&folder, "rs") {
            let name = name_of(&file, &root);
            let text = fs::read_to_string(&file).expect("a source file");
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let tests_from = match name.contains("/tests/") || name.ends_with("/tests.rs") {
                true => 0,
                false => lines.iter().position(|line| *line == "#[cfg(test)]").unwrap_or(lines.len()),
            };
            for (at, line) in lines.iter().enumerate() {
                let Some(id) = line.strip_prefix("//= 9293/") else { continue };
                let carriers = all.entry(id.to_owned()).or_default();
                if at < tests_from {
                    carriers.code.insert(name.clone());
                } else {
                    carriers.tests.insert(function_at(&lines, at).unwrap_or(&name).to_owned());
                }
            }
        }
    }
    for file in files(&root.join("lab/tests/scripts"), "pkt") {
        let text = fs::read_to_string(&file).expect("a script");
        let tags = text.lines().find_map(|line| line.strip_prefix("// Tags: ")).unwrap_or_default();
        for id in tags.split(' ').filter_map(|tag| tag.strip_prefix("9293/")) {
            let name = name_of(&file, &root).replace("lab/tests/scripts/", "").replace(".pkt", "");
            all.entry(id.to_owned()).or_default().scripts.insert(name);
        }
    }
    all
}

/// The function whose attributes the line stands among, or that it stands in.
fn function_at<'a>(lines: &[&'a str], at: usize) -> Option<&'a str> {
    let name = |line: &'a str| {
        let (_, rest) = line.trim_start_matches("pub ").split_once("fn ").filter(|(before, _)| before.is_empty())?;
        rest.split(['(', '<']).next()
    };
    let is_before = |line: &&&str| line.starts_with("//") || line.starts_with("#[");
    let behind = lines.iter().skip(at).find(|line| !is_before(line)).and_then(|line| name(line));
    behind.or_else(|| lines.iter().take(at).rev().find_map(|line| name(line)))
}

/// The files below a folder whose names end so, in order; build products left out.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return all };
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            all.extend(files(&path, extension));
        } else if path.extension().is_some_and(|end| end == extension) {
            all.push(path);
        }
    }
    all
}

fn name_of(file: &Path, root: &Path) -> String {
    file.strip_prefix(root).expect("a file of this project").to_string_lossy().replace('\\', "/")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

const HEAD: &str = "# RFC 9293, requirement by requirement

Each of the 119 numbered requirements of RFC 9293, in our own words, with what carries its tag: the files in whose code
it stands, the tests, and the scripts of `lab/tests/scripts`. Where nothing carries it, the reason stands in its place.

`cargo test -p tidegate-lab --test rfc` writes this page and compares; `RFC_MD=overwrite` before it renews the page.
";

const COLUMNS: &str =
    "| ID | Section | What | Code, or why there is none | Tests | Scripts |\n|---|---|---|---|---|---|\n";
