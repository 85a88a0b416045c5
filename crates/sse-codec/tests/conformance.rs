//! The corpus, with every case whole, byte by byte and cut in two at every place.

mod corpus;
mod support;

use corpus::{Case, read_corpus};
use support::{decode, naive};

#[test]
fn every_case_of_the_corpus_comes_out_as_the_standard_says() {
    let cases = read_corpus();
    assert!(cases.len() >= 120, "only {} cases were read", cases.len());
    for case in &cases {
        check(case, "whole", &[]);
        let everywhere: Vec<usize> = (0..=case.stream.len()).collect();
        check(case, "byte by byte", &everywhere);
        for cut in 0..=case.stream.len() {
            check(case, &format!("cut at {cut}"), &[cut]);
        }
    }
}

#[test]
fn the_naive_twin_agrees_with_the_corpus() {
    for case in read_corpus() {
        assert_eq!(
            naive(&case.seed, &case.stream),
            case.expect,
            "{}",
            case.name
        );
    }
}

#[track_caller]
fn check(case: &Case, how: &str, cuts: &[usize]) {
    let outcome = decode(&case.seed, &case.stream, cuts);
    assert_eq!(outcome, case.expect, "{}, {how}", case.name);
}
