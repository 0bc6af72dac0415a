//! The causes: one file a family, named as its codes are, with a [`Rule`] for each cause and the function that judges it.
//!
//! The order of rules means nothing: of what they find the likeliest comes first, and of two that are equally likely the one
//! that [`Cause`](super::Cause) has first.

#![allow(clippy::unnecessary_wraps, reason = "judges have one signature")]

mod ar;
mod bd;
mod cm;
mod cp;
mod df;
mod dv;
pub(super) mod ex;
mod fb;
mod k8;
mod lo;
mod mt;
mod ns;
mod pr;
mod prelude;
mod sf;
mod sy;
#[cfg(test)]
mod tests;
mod um;
mod un;
mod vr;

use super::weigh::Rule;
pub(super) use k8::headline;
pub(super) use un::unexplained;

/// The rules of each family, by the letters of its codes.
const FAMILIES: &[(&str, &[&[Rule]])] = &[
    ("AR", &[ar::RULES]),
    ("BD", &[bd::RULES]),
    ("CM", &[cm::RULES]),
    ("CP", &[cp::RULES]),
    ("DF", &[df::RULES]),
    ("DV", &[dv::RULES]),
    ("EX", &[ex::RULES]),
    ("FB", &[fb::RULES]),
    ("K8", &[k8::RULES]),
    ("LO", &[lo::RULES]),
    ("MT", &[mt::RULES, mt::resources::RULES]),
    ("NS", &[ns::RULES, ns::filters::RULES, ns::limits::RULES, ns::processes::RULES, ns::refusals::RULES]),
    ("PR", &[pr::RULES, pr::incomplete::RULES]),
    ("SF", &[sf::RULES]),
    ("SY", &[sy::RULES]),
    ("UM", &[um::RULES, um::nested::RULES]),
    ("VR", &[vr::RULES]),
];

/// Every rule.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    FAMILIES.iter().flat_map(|(_, rules)| *rules).copied().flatten()
}
