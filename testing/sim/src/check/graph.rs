//! Who must come before whom, and a circle when they can't.

use std::collections::BTreeMap;

/// A directed graph whose edges carry their reason.
#[derive(Debug, Default)]
pub struct Graph {
    edges: BTreeMap<usize, BTreeMap<usize, String>>,
    nodes: usize,
}

impl Graph {
    /// A graph of this many nodes.
    pub fn new(nodes: usize) -> Graph {
        Graph { edges: BTreeMap::new(), nodes }
    }

    /// One more node.
    pub fn add_node(&mut self) -> usize {
        self.nodes += 1;
        self.nodes - 1
    }

    /// `before` must come before `after`; the first reason is kept.
    pub fn edge(&mut self, before: usize, after: usize, why: impl FnOnce() -> String) {
        if before != after {
            self.edges.entry(before).or_default().entry(after).or_insert_with(why);
        }
    }

    /// A shortest circle through some node of one: nodes with the reason of the edge to the next.
    pub fn circle(&self) -> Option<Vec<(usize, String)>> {
        let start = self.some_node_in_a_circle()?;
        // Breadth first from there back to it.
        let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for next in self.edges.get(&node).into_iter().flat_map(BTreeMap::keys) {
                if *next == start {
                    return Some(self.path(start, node, &came_from));
                }
                if !came_from.contains_key(next) {
                    came_from.insert(*next, node);
                    queue.push_back(*next);
                }
            }
        }
        None
    }

    fn path(&self, start: usize, end: usize, came_from: &BTreeMap<usize, usize>) -> Vec<(usize, String)> {
        let mut nodes = vec![end];
        while let Some(node) = nodes.last().filter(|node| **node != start) {
            nodes.push(came_from[node]);
        }
        nodes.reverse();
        let next = |index: usize| nodes.get(index + 1).copied().unwrap_or(start);
        nodes
            .iter()
            .enumerate()
            .map(|(index, node)| (*node, self.edges[node][&next(index)].clone()))
            .collect()
    }

    /// Takes away nodes that nobody must precede, then nodes that precede nobody, as long as there are any: from what is left,
    /// going back leads into a circle.
    fn some_node_in_a_circle(&self) -> Option<usize> {
        let mut incoming = vec![0usize; self.nodes];
        for after in self.edges.values().flat_map(BTreeMap::keys) {
            incoming[*after] += 1;
        }
        let mut free: Vec<usize> = (0..self.nodes).filter(|node| incoming[*node] == 0).collect();
        let mut left = vec![true; self.nodes];
        while let Some(node) = free.pop() {
            left[node] = false;
            for after in self.edges.get(&node).into_iter().flat_map(BTreeMap::keys) {
                incoming[*after] -= 1;
                if incoming[*after] == 0 {
                    free.push(*after);
                }
            }
        }
        // Every node that is left has one before it that is left.
        let mut node = left.iter().position(|left| *left)?;
        let mut seen = vec![false; self.nodes];
        while !seen[node] {
            seen[node] = true;
            let before =
                self.edges.iter().find(|(before, after)| left[**before] && after.contains_key(&node));
            node = before.map(|(before, _)| *before)?;
        }
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Graph;

    #[test]
    fn circles_are_found_and_nothing_else() {
        let mut graph = Graph::new(5);
        for (before, after) in [(0, 1), (1, 2), (0, 2), (2, 4), (3, 4)] {
            graph.edge(before, after, || format!("{before}-{after}"));
        }
        assert_eq!(graph.circle(), None);
        graph.edge(4, 1, || "4-1".to_owned());
        let circle = graph.circle().unwrap();
        let mut nodes: Vec<usize> = circle.iter().map(|(node, _)| *node).collect();
        nodes.sort_unstable();
        assert_eq!(nodes, [1, 2, 4]);
        assert!(circle.contains(&(2, "2-4".to_owned())));
    }
}
