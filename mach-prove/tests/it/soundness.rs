//! `SOUNDNESS.md` and the tests that it names.

use std::{fs, path::Path};

fn sources(folder: &Path, out: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            out.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn each_test_that_the_argument_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("SOUNDNESS.md")).unwrap();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let names: Vec<_> = (text.split('`').skip(1).step_by(2))
        .filter_map(|quoted| quoted.split_once(".rs: "))
        .collect();
    assert!(names.len() > 30, "{names:?}");
    for (file, test) in names {
        // A test of another package has its folder before it.
        let (folder, file) = file.split_once(", ").unwrap_or(("mach-prove", file));
        let package = root.join("..").join(folder);
        let mut files = Vec::new();
        sources(&package.join("src"), &mut files);
        sources(&package.join("tests"), &mut files);
        let is_there = (files.iter())
            .filter(|(name, _)| name == &format!("{file}.rs"))
            .any(|(_, source)| {
                let attribute = source.split(&format!("fn {test}(")).next().unwrap();
                let attribute = attribute.trim_end().trim_end_matches("async").trim_end();
                attribute.len() < source.len()
                    && (attribute.ends_with("#[test]") || attribute.ends_with("#[tokio::test]"))
            });
        assert!(is_there, "SOUNDNESS.md names {folder}, {file}.rs: {test}");
    }
}
