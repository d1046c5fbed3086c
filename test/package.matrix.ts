import { testPackage } from './support/packed-package.js';

testPackage({ addon: 'built' });
