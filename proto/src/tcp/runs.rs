//! A long list of runs that can be split in its middle: the memory under `inflight.rs`.
//!
//! Sections: none; RFC 2018 5 asks for a queue whose segments carry marks.
//! In: runs at the back, cuts and joins anywhere, acknowledgements at the front.
//! Out: the run at a position, and its neighbours.
//!
//! A window holds thirty thousand segments and more, and a peer may report every second one of them. One long array
//! would move half of itself for each cut; a tree would allocate for each burst. So the runs lie in chunks of a few
//! dozen: a search halves the chunks and then one chunk, a cut moves one chunk's worth, and the chunk that empties at
//! the front is the one that fills next at the back.

use alloc::collections::VecDeque;
use core::hash::{Hash, Hasher};

use super::inflight::Run;
use crate::wire::Pos;

/// Runs in order, without gaps. Equal to another list if the runs are, however they lie in chunks.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    /// None of them is empty.
    chunks: VecDeque<VecDeque<Run>>,
    /// The chunk that was emptied last, for its memory.
    spare: VecDeque<Run>,
}

/// The place of a run. Cuts and joins before it make it point elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    chunk: usize,
    index: usize,
}

impl Runs {
    /// The first run.
    pub(super) fn front(&self) -> Option<&Run> {
        self.chunks.front()?.front()
    }

    /// The first run, to change.
    pub(super) fn front_mut(&mut self) -> Option<&mut Run> {
        self.chunks.front_mut()?.front_mut()
    }

    /// The last run.
    pub(super) fn back(&self) -> Option<&Run> {
        self.chunks.back()?.back()
    }

    /// True if nothing is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Appends a run.
    pub(super) fn push_back(&mut self, run: Run) {
        if self.chunks.back().is_none_or(|chunk| chunk.len() >= CHUNK) {
            self.chunks.push_back(core::mem::take(&mut self.spare));
        }
        self.chunks.back_mut().expect("just made sure").push_back(run);
    }

    /// Takes the first run out.
    pub(super) fn pop_front(&mut self) -> Option<Run> {
        let chunk = self.chunks.front_mut()?;
        let run = chunk.pop_front();
        if chunk.is_empty() {
            self.spare = self.chunks.pop_front().expect("just seen");
        }
        if self.is_empty() && self.spare.capacity() > KEPT_CAPACITY {
            *self = Runs::default();
        }
        run
    }

    /// The place of the run that holds `pos`.
    pub(super) fn find(&self, pos: Pos) -> Option<Place> {
        let chunk = self.chunks.partition_point(|chunk| chunk.front().is_some_and(|run| run.start <= pos));
        let chunk = chunk.checked_sub(1)?;
        let runs = self.chunks.get(chunk)?;
        let index = runs.partition_point(|run| run.start <= pos).checked_sub(1)?;
        (pos < runs.get(index)?.end).then_some(Place { chunk, index })
    }

    /// The run at `place`.
    pub(super) fn get(&self, place: Place) -> Option<&Run> {
        self.chunks.get(place.chunk)?.get(place.index)
    }

    /// The run at `place`, to change.
    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Run> {
        self.chunks.get_mut(place.chunk)?.get_mut(place.index)
    }

    /// The place behind `place`.
    pub(super) fn next(&self, place: Place) -> Option<Place> {
        let Place { chunk, index } = place;
        if index + 1 < self.chunks.get(chunk)?.len() {
            return Some(Place { chunk, index: index + 1 });
        }
        (chunk + 1 < self.chunks.len()).then_some(Place { chunk: chunk + 1, index: 0 })
    }

    /// The place before `place`.
    pub(super) fn prev(&self, place: Place) -> Option<Place> {
        if let Some(index) = place.index.checked_sub(1) {
            return Some(Place { index, ..place });
        }
        let chunk = place.chunk.checked_sub(1)?;
        let index = self.chunks.get(chunk)?.len().checked_sub(1)?;
        Some(Place { chunk, index })
    }

    /// The first place, if any.
    pub(super) fn first(&self) -> Option<Place> {
        (!self.is_empty()).then_some(Place { chunk: 0, index: 0 })
    }

    /// Puts `run` behind the one at `place`, and returns where it lies. `place` still holds.
    pub(super) fn insert_behind(&mut self, place: Place, run: Run) -> Place {
        let Some(chunk) = self.chunks.get_mut(place.chunk) else { return place };
        let at = Place { chunk: place.chunk, index: place.index + 1 };
        if chunk.len() < CHUNK {
            chunk.insert(at.index, run);
            return at;
        }
        let mut rest = chunk.split_off(at.index);
        rest.reserve_exact(CHUNK - rest.len());
        rest.push_front(run);
        self.chunks.insert(place.chunk + 1, rest);
        Place { chunk: place.chunk + 1, index: 0 }
    }

    /// Takes the run behind the one at `place` out. `place` still holds.
    pub(super) fn remove_behind(&mut self, place: Place) {
        let Some(next) = self.next(place) else { return };
        let Some(chunk) = self.chunks.get_mut(next.chunk) else { return };
        chunk.remove(next.index);
        if chunk.is_empty() {
            self.chunks.remove(next.chunk);
        }
    }

    /// Every run, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.chunks.iter().flatten()
    }

    /// Every run, in order, to change.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        self.chunks.iter_mut().flatten()
    }

    /// What the list costs in bytes of memory.
    pub(super) fn memory(&self) -> usize {
        let chunks = self.chunks.iter().map(VecDeque::capacity).sum::<usize>() + self.spare.capacity();
        chunks * size_of::<Run>() + self.chunks.capacity() * size_of::<VecDeque<Run>>()
    }
}

/// Runs in a chunk: a cut moves half of it at the most, about a kilobyte.
const CHUNK: usize = 32;

/// Room for so many runs is kept when nothing is in flight, so that request and response do not allocate each time.
const KEPT_CAPACITY: usize = 8;

impl PartialEq for Runs {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Runs {}

impl Hash for Runs {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for run in self.iter() {
            run.hash(state);
        }
        self.back().map(|run| run.end).hash(state);
    }
}
