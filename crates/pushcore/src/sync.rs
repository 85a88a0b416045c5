//! The crate's lock; tests may run it under a scheduler that tries many interleavings.

#[cfg(not(test))]
pub(crate) use plain::{Guard, Lock};
#[cfg(test)]
pub(crate) use scheduled::{Guard, Lock, Scheduled};

#[cfg(not(test))]
mod plain {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// A mutex that goes on after a panic: whoever panicked has said so, and others have work to do
    #[derive(Default)]
    pub(crate) struct Lock<T>(Mutex<T>);

    pub(crate) type Guard<'a, T> = MutexGuard<'a, T>;

    impl<T> Lock<T> {
        pub(crate) fn new(value: T) -> Lock<T> {
            Lock(Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> Guard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[cfg(test)]
mod scheduled {
    use std::cell::Cell;
    use std::ops::{Deref, DerefMut};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// The same lock, or the scheduler's while a [`Scheduled`] lives on this thread
    pub(crate) enum Lock<T> {
        Plain(Mutex<T>),
        Scheduled(Box<shuttle::sync::Mutex<T>>),
    }

    pub(crate) enum Guard<'a, T> {
        Plain(MutexGuard<'a, T>),
        Scheduled(shuttle::sync::MutexGuard<'a, T>),
    }

    thread_local! {
        static SCHEDULED: Cell<bool> = const { Cell::new(false) };
    }

    /// As long as it lives, locks made on this thread are the scheduler's
    pub(crate) struct Scheduled(());

    impl Scheduled {
        pub(crate) fn begin() -> Scheduled {
            SCHEDULED.set(true);
            Scheduled(())
        }
    }

    impl Drop for Scheduled {
        fn drop(&mut self) {
            SCHEDULED.set(false);
        }
    }

    impl<T> Lock<T> {
        pub(crate) fn new(value: T) -> Lock<T> {
            match SCHEDULED.get() {
                true => Lock::Scheduled(Box::new(shuttle::sync::Mutex::new(value))),
                false => Lock::Plain(Mutex::new(value)),
            }
        }

        pub(crate) fn lock(&self) -> Guard<'_, T> {
            match self {
                Lock::Plain(lock) => {
                    Guard::Plain(lock.lock().unwrap_or_else(PoisonError::into_inner))
                }
                Lock::Scheduled(lock) => {
                    Guard::Scheduled(lock.lock().unwrap_or_else(PoisonError::into_inner))
                }
            }
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            match self {
                Lock::Plain(lock) => lock.get_mut().unwrap_or_else(PoisonError::into_inner),
                Lock::Scheduled(lock) => lock.get_mut().unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    impl<T: Default> Default for Lock<T> {
        fn default() -> Lock<T> {
            Lock::new(T::default())
        }
    }

    impl<T> Deref for Guard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            match self {
                Guard::Plain(guard) => guard,
                Guard::Scheduled(guard) => guard,
            }
        }
    }

    impl<T> DerefMut for Guard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            match self {
                Guard::Plain(guard) => guard,
                Guard::Scheduled(guard) => guard,
            }
        }
    }
}
