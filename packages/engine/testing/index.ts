/** What tests of the engine share: the simulator and the history checker. */
export {};
