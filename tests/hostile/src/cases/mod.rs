//! The tables. Each row: name, role, phase, what the peer does, what must hold.

mod answers;
mod floods;
mod frames;
mod members;
mod mixed;
mod moved;
mod odd;
mod places;
mod pulls;
mod routes;
mod shapes;
mod told;

use crate::case::Case;

/// All cases.
#[must_use]
pub fn all() -> Vec<Case> {
    let tables = [
        frames::all(),
        answers::all(),
        routes::all(),
        pulls::all(),
        floods::all(),
        members::all(),
        places::all(),
        moved::all(),
        mixed::all(),
        odd::all(),
        shapes::all(),
        told::all(),
    ];
    tables.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let names: Vec<String> = super::all().into_iter().map(|case| case.name).collect();
        let different: BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
        assert!(names.len() >= 200, "{} cases", names.len());
    }
}
