//! Laws of the case bundle.

use super::*;

fn leaves(count: usize) -> Vec<Leaf> {
    let mut leaves: Vec<Leaf> = (0..count)
        .map(|n| Leaf {
            path: format!("outputs/{n}.bin"),
            size: n as u64,
            digest: Blake3::of(&n.to_le_bytes()),
        })
        .collect();
    sort(&mut leaves);
    leaves
}

/// RFC 6962 s2.1, word for word.
fn root_by_definition(hashes: &[Blake3]) -> Blake3 {
    match hashes {
        [one] => *one,
        many => {
            let (left, right) = many.split_at(split(many.len()));
            node(&root_by_definition(left), &root_by_definition(right))
        }
    }
}

/// RFC 6962 s2.1.1, word for word.
fn path_by_definition(index: usize, hashes: &[Blake3]) -> Vec<Blake3> {
    if hashes.len() == 1 {
        return Vec::new();
    }
    let (left, right) = hashes.split_at(split(hashes.len()));
    let (mut path, sibling) = match index < left.len() {
        true => (path_by_definition(index, left), root_by_definition(right)),
        false => (path_by_definition(index - left.len(), right), root_by_definition(left)),
    };
    path.push(sibling);
    path
}

fn split(count: usize) -> usize {
    1 << (count - 1).ilog2()
}

#[test]
fn the_tree_has_the_shape_of_rfc_6962_for_every_size_to_64() {
    for count in 1..=64 {
        let leaves = leaves(count);
        let hashes: Vec<Blake3> = leaves.iter().map(Leaf::hash).collect();
        let root = root(&leaves).expect("in order");
        assert_eq!(root, root_by_definition(&hashes), "{count}");
        for (index, leaf) in leaves.iter().enumerate() {
            let path = prove(&leaves, index).expect("in range");
            assert_eq!(path, path_by_definition(index, &hashes), "{index} of {count}");
            let verdict = verify_path(leaf, index as u64, count as u64, &path, &root);
            assert_eq!(verdict, Ok(()), "{index} of {count}");
        }
    }
}

#[test]
fn no_changed_path_verifies() {
    for count in 1..=17_usize {
        let leaves = leaves(count);
        let root = root(&leaves).expect("in order");
        for (index, leaf) in leaves.iter().enumerate() {
            let path = prove(&leaves, index).expect("in range");
            let refused = |leaf: &Leaf, index: u64, count: u64, path: &[Blake3], why: &str| {
                let verdict = verify_path(leaf, index, count, path, &root);
                assert!(verdict.is_err(), "{why}: {index} of {count}");
            };
            let (at, of) = (index as u64, count as u64);
            for extra in [Blake3([0; 32]), root, leaf.hash()] {
                for place in 0..=path.len() {
                    let mut longer = path.clone();
                    longer.insert(place, extra);
                    refused(leaf, at, of, &longer, "an extra hash");
                }
            }
            for place in 0..path.len() {
                let mut shorter = path.clone();
                shorter.remove(place);
                refused(leaf, at, of, &shorter, "a missing hash");
                let mut changed = path.clone();
                changed[place].0[31] ^= 1;
                refused(leaf, at, of, &changed, "a changed hash");
            }
            for other in (0..of + 3).filter(|other| *other != at) {
                refused(leaf, other, of, &path, "another index");
            }
            refused(leaf, u64::MAX, of, &path, "an absurd index");
            refused(leaf, at, 0, &path, "an empty bundle");
            refused(leaf, u64::MAX, u64::MAX, &path, "an absurd count");
            let mut other = leaf.clone();
            other.size += 1;
            refused(&other, at, of, &path, "another leaf");
        }
    }
}

#[test]
fn a_node_cannot_be_shown_as_a_leaf() {
    // Leaves and nodes are hashed under different first bytes, so the two-leaf tree and the leaf of its hashes differ.
    let leaves = leaves(2);
    let joined = [leaves[0].hash().0, leaves[1].hash().0].concat();
    assert_ne!(root(&leaves).expect("in order"), Blake3::of(&joined));
    assert_ne!(leaves[0].hash(), leaves[0].digest);
}

#[test]
fn leaves_out_of_order_twice_or_misnamed_have_no_root() {
    let mut twice = leaves(3);
    twice[2] = twice[1].clone();
    assert_eq!(root(&twice), Err(BundleError::Order(2)));
    let mut turned = leaves(3);
    turned.swap(0, 1);
    assert_eq!(root(&turned), Err(BundleError::Order(1)));
    assert_eq!(root(&[]), Err(BundleError::Empty));
    assert_eq!(prove(&leaves(3), 3), Err(BundleError::Index));
    let long = "x".repeat(PATH_MAX + 1);
    for path in ["", "/etc/passwd", "a//b", "a/", "./a", "a/../b", "..", "a\\b", "a\nb", &long] {
        let leaf = Leaf { path: path.to_owned(), size: 0, digest: Blake3::of(b"") };
        assert_eq!(root(&[leaf]), Err(BundleError::Path(0)), "{path:?}");
    }
    let large = Leaf { path: "a".to_owned(), size: 1 << 53, digest: Blake3::of(b"") };
    assert_eq!(root(&[large]), Err(BundleError::Size(0)));
}

#[test]
fn a_leaf_is_hashed_as_its_canonical_json() {
    let leaf =
        Leaf { path: "outputs/\"é\".txt".to_owned(), size: 7, digest: Blake3::of(b"content") };
    let value = serde_json::json!({
        "path": leaf.path, "size": leaf.size, "digest": leaf.digest.to_string(),
    });
    let mut text = vec![0];
    text.extend(json::canonical(&value).expect("in profile"));
    assert_eq!(leaf.hash(), Blake3::of(&text));
}
