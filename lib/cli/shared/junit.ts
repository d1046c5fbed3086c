/** JUnit XML, which CI systems read. */
import junit from 'junit-report-builder';
import type { Builder } from 'junit-report-builder';
import { printableLines } from '../../printable.js';

// The types of the package declare a default export; at run time the module itself is the builder.
const factory = junit as unknown as Builder;

/** Returns a builder of a report. Names of files and models go through {@link xmlText} first. */
export const junitReport = (name: string) => factory.newBuilder().name(name);

/** Returns text with escapes for what does not print; XML 1.0 cannot hold the last two characters either. */
export const xmlText = (text: string): string => printableLines(text).replace(/[\ufffe\uffff]/g, '\ufffd');
