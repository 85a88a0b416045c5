//! The same little executor for everybody: a waker puts its task's number into a list, and a turn polls the tasks of the list.

use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

/// A waker that puts its task's number into the list of those to be polled
struct Task {
    number: usize,
    ready: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.lock().expect("no panic").push(self.number);
    }
}

/// The same little executor for everybody
pub(crate) struct Executor<T> {
    tasks: Vec<(T, Waker)>,
    ready: Arc<Mutex<Vec<usize>>>,
    turn: Vec<usize>,
}

impl<T: FnMut(&mut Context<'_>)> Executor<T> {
    pub(crate) fn new(tasks: impl Iterator<Item = T>) -> Executor<T> {
        let ready = Arc::new(Mutex::new(Vec::new()));
        let with_waker = |(number, task)| {
            let ready = ready.clone();
            (task, Waker::from(Arc::new(Task { number, ready })))
        };
        let tasks: Vec<_> = tasks.enumerate().map(with_waker).collect();
        let turn = (0..tasks.len()).collect();
        let mut executor = Executor { tasks, ready, turn };
        executor.poll_turn();
        executor
    }

    pub(crate) fn run(&mut self) {
        std::mem::swap(&mut self.turn, &mut self.ready.lock().expect("no panic"));
        self.poll_turn();
    }

    fn poll_turn(&mut self) {
        for number in self.turn.drain(..) {
            let (task, waker) = &mut self.tasks[number];
            task(&mut Context::from_waker(waker));
        }
    }
}
