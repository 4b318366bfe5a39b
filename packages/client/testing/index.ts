/** What tests of the client share with those that run it on real stores. */
export { Controller, type ControlledTarget, type ControllerOptions } from './controller.ts';
export { VirtualClock } from './virtual-clock.ts';
