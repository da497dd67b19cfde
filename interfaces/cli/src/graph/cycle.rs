//! Finds a cycle among needs.

/// Whether a task was looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    OnTheWay,
    Done,
}

/// A cycle, as numbers of tasks each of which needs the next and the last the first; `needs[a]` are what `a` needs.
pub(super) fn find(needs: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut marks = vec![Mark::New; needs.len()];
    for start in 0..needs.len() {
        if marks[start] != Mark::New {
            continue;
        }
        // The way from `start`: tasks, and how many of their needs were followed. Not by recursion: graphs are deep.
        let mut way = vec![(start, 0)];
        marks[start] = Mark::OnTheWay;
        while let Some((task, followed)) = way.last_mut() {
            let Some(&need) = needs[*task].get(*followed) else {
                marks[*task] = Mark::Done;
                way.pop();
                continue;
            };
            *followed += 1;
            match marks[need] {
                Mark::New => {
                    marks[need] = Mark::OnTheWay;
                    way.push((need, 0));
                }
                Mark::OnTheWay => {
                    return Some(
                        way.iter().map(|(task, _)| *task).skip_while(|task| *task != need).collect(),
                    );
                }
                Mark::Done => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cycles_are_found() {
        assert_eq!(find(&[vec![1, 2], vec![3], vec![3], vec![]]), None);
        assert_eq!(find(&[vec![1], vec![2], vec![3], vec![1]]), Some(vec![1, 2, 3]));
        assert_eq!(find(&[vec![], vec![1]]), Some(vec![1]));
    }

    #[test]
    fn a_long_chain_is_no_problem() {
        let mut needs: Vec<Vec<usize>> = (1..100_000).map(|next| vec![next]).collect();
        needs.push(Vec::new());
        assert_eq!(find(&needs), None);
    }
}
